// A KvCache longer than RAM: the newest tokens' pages stay, older ones go to the disk as they fill, and every
// layer's come back, all of them, when it is that layer's turn; the next layer's are read meanwhile. Nothing
// is lost: attention is that of a cache in RAM, to the bit. RAM holds the newest `ram_tokens` of all lanes
// and two layers of the rest.
#include <algorithm>
#include <cstring>
#include <future>

#include "run/kv/kv_swap.h"

namespace varve {
namespace {

using Pages = std::vector<KvPagePtr>;

class TieredKv : public KvCache {
 public:
  TieredKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);
  ~TieredKv() override;

  int32_t tokens() const override { return *std::min_element(appended_.begin(), appended_.end()); }
  int64_t bytes() const override;
  Status reserve(int32_t more_tokens) override;
  Status append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) override;
  std::span<const std::span<const KvPageView>> lanes(int32_t layer) override;
  std::span<const std::span<const KvPageView>> reads(Ops&, int32_t layer, Rows, const AttendSpec&) override {
    return lanes(layer);
  }
  const Codec& codec() const override { return pool_->codec; }
  AttendScores scores(int32_t, std::span<const int32_t>) override { return {}; }
  const KvNeeds& needs() const override { return pool_->methods.needs; }
  KvNotes& notes() override { return notes_; }
  KvCounts counts() const override {
    return {.kept = int64_t(tokens()) * lanes_,
            .rows = int64_t(blocks_.size() - cold()) * lanes_,
            .on_disk = int64_t(cold()) * lanes_};
  }
  Status fit() override;
  Status truncate(int32_t tokens) override;
  Result<KvSnapshot> snapshot(int32_t first_tokens) const override;
  void patch(bool) override { CHECK(false, "state on the disk is not patched"); }
  Pages pages() const override;
  void set_pages(std::span<const KvPagePtr> pages) override;

 private:
  struct Stage {  // the cold pages of one layer, block by block
    int32_t layer = -1;
    size_t blocks = 0;  // that were read
    Pages pages;
    std::future<Status> reading;
  };
  size_t cold() const { return slots_.size(); }
  Status make_block();
  Status stage(int32_t layer);
  Status read(Stage& stage, int32_t layer, size_t from, size_t to) const;
  void read_ahead(int32_t layer);
  Status settle();  // nothing is being read any more
  Status demote();
  KvPageView view(const KvPage& page, int64_t rows) const;

  const std::shared_ptr<KvPool> pool_;
  const int32_t heads_, lanes_;
  std::vector<Pages> blocks_;                       // one page a lane; empty once it is on the disk
  std::vector<std::vector<KvSwap::Slot>> slots_;    // of the first blocks: one a layer
  Pages spare_;                                     // reserved
  std::vector<int32_t> appended_;                   // to each layer
  std::vector<std::vector<KvPageView>> views_;      // of one layer
  std::vector<std::span<const KvPageView>> lists_;  // likewise
  size_t now_ = 0;
  KvNotes notes_;  // nobody asks
  Stage stages_[2];
};

TieredKv::TieredKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from)
    : pool_(std::move(pool)),
      heads_(pool_->shape.kv_heads),
      lanes_(pool_->shape.layers * heads_),
      blocks_(size_t(kv_pages_for(from.tokens))),
      appended_(size_t(pool_->shape.layers), from.tokens),
      views_(size_t(heads_)),
      lists_(size_t(heads_)) {
  for (size_t block = 0; block < blocks_.size(); ++block) {
    for (size_t lane = 0; lane < size_t(lanes_); ++lane)
      blocks_[block].push_back(from.pages[lane * blocks_.size() + block]);
  }
}

TieredKv::~TieredKv() {
  settle().ignore("it is not read any more");
  for (auto& layers : slots_) {
    for (KvSwap::Slot& slot : layers) pool_->disk->drop(slot);
  }
}

int64_t TieredKv::bytes() const {
  size_t pages = spare_.size() + stages_[0].pages.size() + stages_[1].pages.size();
  for (const Pages& block : blocks_) pages += block.size();
  return int64_t(pages) * pool_->layout.bytes();
}

Status TieredKv::settle() {
  Status worst;
  for (Stage& one : stages_) {
    if (!one.reading.valid()) continue;
    Status read = one.reading.get();
    if (!read.ok()) one.layer = -1, worst = std::move(read);
  }
  return worst;
}

// The pages that are missing for so many tokens; a page that is shared and written to is copied.
Status TieredKv::reserve(int32_t more_tokens) {
  if (more_tokens == 0) return {};
  TRY(settle());
  const int64_t blocks = kv_pages_for(int64_t(tokens()) + more_tokens);
  const int64_t hot = std::min(blocks, kv_pages_for(pool_->ram_tokens) + 1);
  const int64_t staged = std::max<int64_t>(0, blocks - kv_pages_for(pool_->ram_tokens)) * heads_;
  const int64_t have = int64_t(blocks_.size() - cold()) * lanes_ + int64_t(spare_.size());
  Pages* const partial = tokens() % kPageTokens != 0 ? &blocks_.back() : nullptr;
  const int64_t copied = partial != nullptr ? std::count_if(partial->begin(), partial->end(),
                                                            [](auto& page) { return page.use_count() > 1; })
                                            : 0;
  const int64_t missing = std::max<int64_t>(0, hot * lanes_ - have) + copied;
  int64_t ahead = 0;
  for (const Stage& one : stages_) ahead += std::max<int64_t>(0, staged - int64_t(one.pages.size()));
  Pages taken = TRY(pool_->take(missing + ahead));
  for (Stage& one : stages_) {
    for (; int64_t(one.pages.size()) < staged; taken.pop_back()) one.pages.push_back(std::move(taken.back()));
  }
  for (size_t i = 0; copied > 0 && i < partial->size(); ++i) {
    if ((*partial)[i].use_count() == 1) continue;
    std::memcpy(taken.back()->at, (*partial)[i]->at, size_t(pool_->layout.bytes()));
    (*partial)[i] = std::move(taken.back());
    taken.pop_back();
  }
  for (KvPagePtr& page : taken) spare_.push_back(std::move(page));
  return {};
}

Status TieredKv::make_block() {
  if (int64_t(spare_.size()) < lanes_) {
    Pages more = TRY(pool_->take(lanes_ - int64_t(spare_.size())));
    for (KvPagePtr& page : more) spare_.push_back(std::move(page));
  }
  blocks_.emplace_back(std::make_move_iterator(spare_.end() - lanes_), std::make_move_iterator(spare_.end()));
  spare_.resize(spare_.size() - size_t(lanes_));
  return {};
}

Status TieredKv::append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) {
  const KvShape& shape = pool_->shape;
  const KvPageLayout& layout = pool_->layout;
  const int32_t count = int32_t(positions.size());
  int32_t& at = appended_[size_t(layer)];
  while (int64_t(blocks_.size()) < kv_pages_for(int64_t(at) + count)) TRY(make_block());
  TRY(stage(layer));
  for (int32_t done = 0; done < count;) {
    const int32_t row = at % kPageTokens, rows = std::min(count - done, kPageTokens - row);
    for (int32_t head = 0; head < heads_; ++head) {
      const KvPage& page = *blocks_[size_t(at / kPageTokens)][size_t(layer * heads_ + head)];
      ops.encode(keys.slice(done, rows).columns(head * shape.key_dim, shape.key_dim), codec(),
                 {page.at + row * layout.key_row, size_t(rows * layout.key_row)});
      ops.encode(values.slice(done, rows).columns(head * shape.value_dim, shape.value_dim), codec(),
                 {page.at + layout.values_at() + row * layout.value_row, size_t(rows * layout.value_row)});
      std::copy_n(positions.begin() + done, rows,
                  reinterpret_cast<int32_t*>(page.at + layout.positions_at()) + row);
    }
    at += rows;
    done += rows;
  }
  return {};
}

// What was read ahead, or is read now; then the next layer's are asked for.
Status TieredKv::stage(int32_t layer) {
  if (cold() == 0) return {};
  if (stages_[now_].layer != layer) now_ ^= 1;
  Stage& one = stages_[now_];
  if (one.reading.valid()) {
    Status ahead = one.reading.get();
    if (!ahead.ok()) one.layer = -1;
  }
  if (one.layer != layer) one.layer = layer, one.blocks = 0;
  Status status = read(one, layer, one.blocks, cold());
  if (!status.ok()) {
    one.layer = -1;
    return std::move(status).with("reading attention state from the disk");
  }
  one.blocks = cold();
  read_ahead((layer + 1) % pool_->shape.layers);
  return {};
}

Status TieredKv::read(Stage& stage, int32_t layer, size_t from, size_t to) const {
  for (size_t block = from; block < to; ++block) {
    const auto pages = std::span(stage.pages).subspan(block * size_t(heads_), size_t(heads_));
    TRY(pool_->disk->read(slots_[block][size_t(layer)], pages));
  }
  return {};
}

void TieredKv::read_ahead(int32_t layer) {
  Stage& next = stages_[now_ ^ 1];
  if (stages_[now_].layer == layer || next.layer == layer || next.reading.valid()) return;
  next.layer = layer, next.blocks = cold();
  next.reading = std::async(std::launch::async,
                            [this, &next, layer, blocks = cold()] { return read(next, layer, 0, blocks); });
}

KvPageView TieredKv::view(const KvPage& page, int64_t rows) const {
  const KvPageLayout& layout = pool_->layout;
  return {.keys = {page.at, size_t(rows * layout.key_row)},
          .values = {page.at + layout.values_at(), size_t(rows * layout.value_row)},
          .positions = {reinterpret_cast<const int32_t*>(page.at + layout.positions_at()), size_t(rows)},
          .weights = {}};
}

std::span<const std::span<const KvPageView>> TieredKv::lanes(int32_t layer) {
  const int32_t tokens = appended_[size_t(layer)];
  const Pages& staged = stages_[now_].pages;
  CHECK(cold() == 0 || stages_[now_].layer == layer, "lanes of a layer that nothing was appended to");
  for (int32_t head = 0; head < heads_; ++head) {
    std::vector<KvPageView>& views = views_[size_t(head)];
    views.clear();
    for (int64_t block = 0; block < kv_pages_for(tokens); ++block) {
      const bool far = size_t(block) < cold();
      const KvPage& page = far ? *staged[size_t(block * heads_ + head)]
                               : *blocks_[size_t(block)][size_t(layer * heads_ + head)];
      views.push_back(view(page, std::min<int64_t>(kPageTokens, tokens - block * kPageTokens)));
    }
    lists_[size_t(head)] = views;
  }
  return lists_;
}

Status TieredKv::fit() {
  const size_t hot = size_t(kv_pages_for(pool_->ram_tokens));
  while (size_t(tokens() / kPageTokens) > cold() + hot) TRY(demote());
  return {};
}

// The oldest block in RAM, a slot a layer. When the disk refuses it stays.
Status TieredKv::demote() {
  TRY(settle());
  Pages& block = blocks_[cold()];
  std::vector<KvSwap::Slot> slots;
  for (int32_t layer = 0; layer < pool_->shape.layers; ++layer) {
    auto slot = pool_->disk->write(std::span(block).subspan(size_t(layer * heads_), size_t(heads_)));
    if (!slot.ok()) {
      for (KvSwap::Slot& one : slots) pool_->disk->drop(one);
      return std::move(slot).status();
    }
    slots.push_back(std::move(*slot));
  }
  const size_t staged = (cold() + 1) * size_t(heads_);
  int64_t missing = 0;
  for (const Stage& one : stages_)
    missing += std::max<int64_t>(0, int64_t(staged) - int64_t(one.pages.size()));
  Pages more = TRY(pool_->take(missing));
  for (Stage& one : stages_) {
    for (; one.pages.size() < staged; more.pop_back()) one.pages.push_back(std::move(more.back()));
  }
  slots_.push_back(std::move(slots));
  for (KvPagePtr& page : block) {
    if (page.use_count() == 1) spare_.push_back(std::move(page));
  }
  block.clear();
  return {};
}

Status TieredKv::truncate(int32_t tokens) {
  if (tokens < 0 || tokens > *std::max_element(appended_.begin(), appended_.end()))
    return Status(Code::invalid, "cannot cut cached tokens to " + std::to_string(tokens));
  if (tokens < int32_t(cold()) * kPageTokens)
    return Status(Code::unsupported, "the tokens before that point are on the disk");
  for (; int64_t(blocks_.size()) > kv_pages_for(tokens); blocks_.pop_back()) {
    for (KvPagePtr& page : blocks_.back()) {
      if (page.use_count() == 1) spare_.push_back(std::move(page));
    }
  }
  std::fill(appended_.begin(), appended_.end(), tokens);
  return {};
}

Result<KvSnapshot> TieredKv::snapshot(int32_t first_tokens) const {
  if (first_tokens < 0 || first_tokens > tokens())
    return Status(Code::invalid, "a snapshot of more tokens than there are");
  if (cold() > 0) return Status(Code::unsupported, "a part of this sequence is on the disk");
  KvSnapshot all;
  all.tokens = first_tokens;
  for (size_t lane = 0; lane < size_t(lanes_); ++lane) {
    for (int64_t block = 0; block < kv_pages_for(first_tokens); ++block)
      all.pages.push_back(blocks_[size_t(block)][lane]);
  }
  return all;
}

Pages TieredKv::pages() const {
  Pages all;
  for (const Pages& block : blocks_) all.insert(all.end(), block.begin(), block.end());
  return all;
}

void TieredKv::set_pages(std::span<const KvPagePtr> pages) {
  settle().ignore("it is read again");
  spare_.clear();
  for (Stage& one : stages_) one.layer = -1, one.pages.clear();
  auto next = pages.begin();
  for (size_t block = cold(); block < blocks_.size(); ++block) {
    blocks_[block].clear();
    for (int32_t lane = 0; lane < lanes_ && next != pages.end(); ++lane) blocks_[block].push_back(*next++);
  }
}

}  // namespace

std::unique_ptr<KvCache> make_tiered_kv(std::shared_ptr<KvPool> pool, const KvSnapshot& from) {
  return std::make_unique<TieredKv>(std::move(pool), from);
}

}  // namespace varve

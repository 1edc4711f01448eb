// A KvCache longer than RAM: the newest tokens' pages stay, older ones go to the disk as they fill. Nothing
// is lost: attention is that of a cache in RAM, to the bit. Where a query reads all, every layer's pages come
// back when it is that layer's turn, and the next layer's are read meanwhile: RAM holds the newest
// `ram_tokens` of all lanes and two layers of the rest. Where queries select, what the selector remembers of
// a page stays in RAM, and the pages that a query chooses come back; of each lane the last used stay.
#include <algorithm>
#include <cstring>

#include "run/kv/tier/kv_cold.h"

namespace varve {
namespace {

using Pages = std::vector<KvPagePtr>;

class TieredKv : public KvCache, private KvPageSource {
 public:
  TieredKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);

  int32_t tokens() const override { return *std::min_element(appended_.begin(), appended_.end()); }
  int64_t bytes() const override;
  Status reserve(int32_t more_tokens) override;
  Status append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) override;
  KvLanes lanes(int32_t layer) override;
  Result<KvLanes> reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) override;
  const Codec& codec() const override { return pool_->codec; }
  AttendScores scores(int32_t, std::span<const int32_t>) override { return {}; }
  const KvNeeds& needs() const override { return pool_->methods.needs; }
  KvNotes& notes() override { return notes_; }
  KvCounts counts() const override;
  Status fit() override;
  Status truncate(int32_t tokens) override;
  Result<KvSnapshot> snapshot(int32_t first_tokens) const override;
  void patch(bool) override { CHECK(false, "state on the disk is not patched"); }
  Pages pages() const override;
  void set_pages(std::span<const KvPagePtr> pages) override;

 private:
  size_t cold() const { return cold_.blocks(); }
  Status reserve_notes(int64_t tokens);
  Status make_block();
  Status demote();
  void note(std::span<const int32_t> positions, int32_t at);
  KvPageView view(const KvPage& page, int64_t rows) const;
  Result<KvPageView> bring(size_t head, int32_t page, bool stays) override;
  Status bring_window(int32_t newest, int32_t rows, int32_t window);

  const std::shared_ptr<KvPool> pool_;
  const int32_t heads_, lanes_;
  std::vector<Pages> blocks_;  // one page a lane; empty once it is on the disk
  Pages spare_;                // reserved
  ColdPages cold_;
  LayerStages stages_;
  ReturnedPages returned_;
  std::unique_ptr<Selection> selection_;  // null: a query reads all
  Nearer nearer_;
  std::vector<int32_t> appended_;                   // to each layer
  std::vector<int32_t> positions_;                  // of all tokens, the same in every lane
  std::vector<std::vector<KvPageView>> views_;      // of one layer
  std::vector<std::span<const KvPageView>> lists_;  // likewise
  int32_t layer_ = 0;                               // that layer
  KvNotes notes_;
  Reservation noted_;
};

TieredKv::TieredKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from)
    : pool_(std::move(pool)),
      heads_(pool_->shape.kv_heads),
      lanes_(pool_->shape.layers * heads_),
      blocks_(size_t(kv_pages_for(from.tokens))),
      cold_(*pool_),
      stages_(cold_, pool_->shape),
      returned_(cold_, *pool_, kv_most_returned(pool_->methods.selector.get())),
      selection_(make_selection(*pool_, this)),
      nearer_(pool_->ledger()),
      appended_(size_t(pool_->shape.layers), from.tokens),
      views_(size_t(heads_)),
      lists_(size_t(heads_)) {
  for (size_t block = 0; block < blocks_.size(); ++block) {
    for (size_t lane = 0; lane < size_t(lanes_); ++lane)
      blocks_[block].push_back(from.pages[lane * blocks_.size() + block]);
    const int64_t rows = std::min<int64_t>(kPageTokens, from.tokens - int64_t(block) * kPageTokens);
    note(view(*blocks_[block][0], rows).positions, int32_t(block) * kPageTokens);
  }
}

int64_t TieredKv::bytes() const {
  int64_t pages = int64_t(spare_.size()) + stages_.pages() + returned_.pages();
  for (const Pages& block : blocks_) pages += int64_t(block.size());
  return pages * pool_->layout.bytes() + noted_.bytes() + (selection_ ? selection_->bytes() : 0) +
         nearer_.bytes();
}

// The pages that are missing for so many tokens; a page that is shared and written to is copied.
Status TieredKv::reserve(int32_t more_tokens) {
  if (more_tokens == 0) return {};
  TRY(stages_.settle());
  const int64_t tokens = int64_t(this->tokens()) + more_tokens;
  const KvTierPages most =
      kv_tier_pages(pool_->shape, pool_->methods.selector.get(), pool_->ram_tokens, kv_pages_for(tokens));
  const int64_t staged = most.staged / (2 * heads_), returned = most.returned / lanes_;
  const int64_t have = int64_t(blocks_.size() - cold()) * lanes_ + int64_t(spare_.size());
  std::vector<KvPagePtr*> copied;
  if (this->tokens() % kPageTokens != 0) {
    for (KvPagePtr& page : blocks_.back())
      if (page.use_count() > 1) copied.push_back(&page);
  }
  Pages rows = TRY(pool_->take(std::max<int64_t>(0, most.hot - have) + int64_t(copied.size())));
  Pages to_stage = TRY(pool_->take(stages_.lacks(staged)));
  Pages to_return = TRY(pool_->take(returned_.lacks(returned)));
  TRY(reserve_notes(tokens));
  for (KvPagePtr* page : copied) {
    std::memcpy(rows.back()->at, (*page)->at, size_t(pool_->layout.bytes()));
    *page = std::move(rows.back());
    rows.pop_back();
  }
  std::move(rows.begin(), rows.end(), std::back_inserter(spare_));
  stages_.give(staged, to_stage);
  returned_.give(to_return);
  return {};
}

Status TieredKv::reserve_notes(int64_t tokens) {
  const int64_t bytes = kv_tier_notes_bytes(needs(), tokens);
  if (bytes <= noted_.bytes()) return {};
  if (noted_.bytes() > 0) return noted_.resize(bytes);
  noted_ = TRY(pool_->ledger().reserve(Tag::kv, bytes));
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

// Of the first layer that is told of them.
void TieredKv::note(std::span<const int32_t> positions, int32_t at) {
  positions_.resize(std::max(positions_.size(), size_t(at) + positions.size()));
  std::copy(positions.begin(), positions.end(), positions_.begin() + at);
}

Status TieredKv::append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) {
  const KvShape& shape = pool_->shape;
  const KvPageLayout& layout = pool_->layout;
  const int32_t count = int32_t(positions.size());
  int32_t& at = appended_[size_t(layer)];
  while (int64_t(blocks_.size()) < kv_pages_for(int64_t(at) + count)) TRY(make_block());
  note(positions, at);
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

KvPageView TieredKv::view(const KvPage& page, int64_t rows) const {
  const KvPageLayout& layout = pool_->layout;
  return {.keys = {page.at, size_t(rows * layout.key_row)},
          .values = {page.at + layout.values_at(), size_t(rows * layout.value_row)},
          .positions = {reinterpret_cast<const int32_t*>(page.at + layout.positions_at()), size_t(rows)},
          .weights = {}};
}

KvLanes TieredKv::lanes(int32_t layer) {
  const int32_t tokens = appended_[size_t(layer)];
  const auto blocks = size_t(kv_pages_for(tokens));
  for (int32_t head = 0; head < heads_; ++head) {
    std::vector<KvPageView>& views = views_[size_t(head)];
    views.resize(blocks);
    for (size_t block = 0; block < blocks; ++block) {
      const auto first = int64_t(block) * kPageTokens, rows = std::min<int64_t>(kPageTokens, tokens - first);
      views[block] = block < cold() ? KvPageView{.positions = {&positions_[size_t(first)], size_t(rows)}}
                                    : view(*blocks_[block][size_t(layer * heads_ + head)], rows);
    }
    lists_[size_t(head)] = views;
  }
  layer_ = layer;
  return lists_;
}

Result<KvLanes> TieredKv::reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) {
  const KvLanes all = lanes(layer);
  const int32_t rows = queries.count(), newest = all[0].back().positions.back();
  returned_.next();
  if (cold() > 0 && how.window > 0 && selection_ != nullptr) {
    TRY(bring_window(newest, rows, how.window));
  } else if (cold() > 0 && (selection_ == nullptr || !selection_->chooses(rows))) {
    TRY(stages_.bring(layer));
    for (size_t block = 0; block < cold(); ++block) {
      for (int32_t head = 0; head < heads_; ++head)
        views_[size_t(head)][block] = view(stages_.at(block, head), kPageTokens);
    }
  }
  if (selection_ == nullptr) return all;
  const KvLanes read = TRY(selection_->choose(ops, layer, all, queries, how, notes_));
  return nearer_.move(ops, pool_->positions, layer, read, newest, how);
}

// Pages that the window of a layer does not reach are not looked at.
Status TieredKv::bring_window(int32_t newest, int32_t rows, int32_t window) {
  for (size_t block = 0; block < cold(); ++block) {
    for (size_t head = 0; head < size_t(heads_); ++head) {
      KvPageView& page = views_[head][block];
      if (page.positions.back() > newest - rows - window) page = TRY(bring(head, int32_t(block), true));
    }
  }
  return {};
}

Result<KvPageView> TieredKv::bring(size_t head, int32_t page, bool stays) {
  return view(*TRY(returned_.bring(layer_ * heads_ + int32_t(head), size_t(page), stays)), kPageTokens);
}

KvCounts TieredKv::counts() const {
  KvCounts counts{.kept = int64_t(tokens()) * lanes_,
                  .rows = int64_t(blocks_.size() - cold()) * lanes_,
                  .on_disk = int64_t(cold()) * lanes_,
                  .fetched = returned_.fetched()};
  if (selection_) counts.read = selection_->read(), counts.of = selection_->of();
  return counts;
}

Status TieredKv::fit() {
  const size_t hot = size_t(kv_pages_for(pool_->ram_tokens));
  while (size_t(tokens() / kPageTokens) > cold() + hot) TRY(demote());
  return {};
}

// The oldest block in RAM. When the disk refuses it stays.
Status TieredKv::demote() {
  TRY(stages_.settle());
  const KvTierPages most = kv_tier_pages(pool_->shape, pool_->methods.selector.get(), pool_->ram_tokens,
                                         int64_t(cold()) + 1 + kv_pages_for(pool_->ram_tokens));
  const int64_t staged = most.staged / (2 * heads_);
  Pages more = TRY(pool_->take(stages_.lacks(staged)));
  Pages& block = blocks_[cold()];
  TRY(cold_.write(block));
  stages_.give(staged, more);
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
  positions_.resize(size_t(tokens));
  notes_.cut(tokens);
  if (selection_) selection_->forget(tokens);
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
  spare_.clear();
  stages_.clear();
  returned_.clear();
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

// A cache whose pages are packed once they are full and old enough: the newest tokens of a lane are rows of
// the codec, what lies before is as the recipe's PagePack writes it. Nothing is ever dropped.
//
// A page is packed before a token is appended, never while its lane is read, so that a prompt in other pieces
// may read other pages packed: with a lossy pack the bits depend on the pieces.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "run/kv/kv_pool.h"
#include "run/kv/selection.h"

namespace varve {
namespace {

constexpr int64_t kAheadPages = 8;  // rows of a lane that a step may append before it packs younger ones

struct Lane {
  std::vector<KvPagePtr> pages;  // in use
  std::vector<KvPageView> views;
  int32_t tokens = 0;
};

bool shared(const KvPagePtr& page) {
  return page.use_count() > 1;
}

class PackedKv : public KvCache {
 public:
  PackedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);

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
  Status fit() override { return {}; }
  Status truncate(int32_t tokens) override;
  Result<KvSnapshot> snapshot(int32_t first_tokens) const override;
  void patch(bool) override { CHECK(false, "packed state is not patched"); }
  std::vector<KvPagePtr> pages() const override;
  void set_pages(std::span<const KvPagePtr> pages) override;

 private:
  const PagePack& pack() const { return *pool_->methods.pack; }
  bool packed(const KvPagePtr& page) const { return page->pool == pool_->packed; }
  std::span<Lane> layer_lanes(int32_t layer) {
    return std::span(lanes_).subspan(size_t(layer) * size_t(pool_->shape.kv_heads),
                                     size_t(pool_->shape.kv_heads));
  }
  Status take(KvPool& pool, int64_t count, std::vector<KvPagePtr>& into);
  void give_back(KvPagePtr page);
  Result<KvPagePtr> fresh(Lane& lane);
  Status make_writable(Lane& lane);  // its newest page, if it is not full
  Status pack_oldest(Lane& lane);
  Status pack_old(Lane& lane);
  void refresh(Lane& lane, size_t first_page);

  std::shared_ptr<KvPool> pool_;
  std::vector<Lane> lanes_;  // layer by layer
  std::vector<std::span<const KvPageView>> lane_views_;
  std::vector<int32_t> appended_;
  std::vector<KvPagePtr> spare_rows_, spare_packed_;  // reserved
  KvNotes notes_;
  Reservation noted_;
  std::unique_ptr<Selection> selection_;
  Nearer nearer_;
};

PackedKv::PackedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from)
    : pool_(std::move(pool)),
      lanes_(size_t(pool_->shape.layers) * pool_->shape.kv_heads),
      lane_views_(lanes_.size()),
      appended_(size_t(pool_->shape.layers), from.tokens),
      selection_(make_selection(*pool_)),
      nearer_(pool_->ledger()) {
  const size_t each = size_t(kv_pages_for(from.tokens));
  for (size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].pages.assign(from.pages.begin() + i * each, from.pages.begin() + (i + 1) * each);
    lanes_[i].tokens = from.tokens;
    refresh(lanes_[i], 0);
  }
}

int64_t PackedKv::bytes() const {
  int64_t bytes = int64_t(spare_rows_.size()) * pool_->layout.bytes() +
                  int64_t(spare_packed_.size()) * pool_->packed->layout.bytes();
  for (const Lane& lane : lanes_) {
    for (const KvPagePtr& page : lane.pages) bytes += page->pool->layout.bytes();
  }
  return bytes + noted_.bytes() + (selection_ ? selection_->bytes() : 0) + nearer_.bytes();
}

Status PackedKv::take(KvPool& pool, int64_t count, std::vector<KvPagePtr>& into) {
  if (count <= 0) return {};
  std::vector<KvPagePtr> taken = TRY(pool.take(count));
  std::move(taken.begin(), taken.end(), std::back_inserter(into));
  return {};
}

Status PackedKv::reserve(int32_t more_tokens) {
  CHECK(more_tokens >= 0, "a negative number of tokens");
  if (more_tokens == 0) return {};
  const KvPageCounts most = kv_packed_pages(pack(), int64_t(tokens()) + more_tokens);
  const int64_t lanes = int64_t(lanes_.size());
  int64_t rows = lanes * most.rows - int64_t(spare_rows_.size());
  int64_t packs = lanes * most.packed - int64_t(spare_packed_.size());
  for (const Lane& lane : lanes_) {
    for (const KvPagePtr& page : lane.pages) {
      packs -= packed(page);
      rows -= !packed(page) && !shared(page);
    }
  }
  const size_t before = spare_packed_.size();
  TRY(take(*pool_->packed, packs, spare_packed_));
  Status status = take(*pool_, rows, spare_rows_);
  if (!status.ok()) {
    spare_packed_.resize(before);
    return status;
  }
  for (Lane& lane : lanes_) TRY(make_writable(lane));
  const int64_t noted = kv_notes_bytes(needs(), 0, int64_t(tokens()) + more_tokens);
  if (noted <= noted_.bytes()) return {};
  if (noted_.bytes() > 0) return noted_.resize(noted);
  noted_ = TRY(pool_->ledger().reserve(Tag::kv, noted));
  return {};
}

void PackedKv::give_back(KvPagePtr page) {
  if (shared(page)) return;
  (packed(page) ? spare_packed_ : spare_rows_).push_back(std::move(page));
}

// A page of rows. When none is left, an old one is packed sooner than it would be.
Result<KvPagePtr> PackedKv::fresh(Lane& lane) {
  if (spare_rows_.empty()) TRY(pack_oldest(lane));
  if (spare_rows_.empty()) TRY(take(*pool_, 1, spare_rows_));
  KvPagePtr page = std::move(spare_rows_.back());
  spare_rows_.pop_back();
  return page;
}

Status PackedKv::make_writable(Lane& lane) {
  if (lane.tokens % kPageTokens == 0) return {};
  KvPagePtr& last = lane.pages.back();
  if (!packed(last) && !shared(last)) return {};
  KvPagePtr copy = TRY(fresh(lane));
  if (packed(last)) {
    unpack_page(pack(), *last, *copy);
  } else {
    std::memcpy(copy->at, last->at, size_t(pool_->layout.bytes()));
  }
  give_back(std::exchange(last, std::move(copy)));
  refresh(lane, lane.pages.size() - 1);
  return {};
}

Status PackedKv::pack_oldest(Lane& lane) {
  const auto found = std::find_if(lane.pages.begin(), lane.pages.end(),
                                  [&](const KvPagePtr& page) { return !packed(page); });
  const auto index = found - lane.pages.begin();
  if (found == lane.pages.end() || (index + 1) * kPageTokens > lane.tokens) return {};  // none is full
  if (spare_packed_.empty()) TRY(take(*pool_->packed, 1, spare_packed_));
  KvPagePtr page = std::move(spare_packed_.back());
  spare_packed_.pop_back();
  pack_page(pack(), **found, *page);
  give_back(std::exchange(*found, std::move(page)));
  refresh(lane, size_t(index));
  return {};
}

Status PackedKv::pack_old(Lane& lane) {
  const int64_t whole = std::max<int64_t>(0, lane.tokens - pack().residual()) / kPageTokens;
  int64_t done = 0;
  while (done < whole && packed(lane.pages[size_t(done)])) ++done;
  for (; done < whole; ++done) TRY(pack_oldest(lane));
  return {};
}

Status PackedKv::append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) {
  const KvShape& shape = pool_->shape;
  const KvPageLayout& layout = pool_->layout;
  const auto count = int32_t(positions.size());
  CHECK(keys.count() == count && values.count() == count, "keys, values and positions differ in number");
  for (int32_t head = 0; head < shape.kv_heads; ++head) {
    Lane& lane = layer_lanes(layer)[size_t(head)];
    TRY(pack_old(lane));
    TRY(make_writable(lane));
    const Rows k = keys.columns(head * shape.key_dim, shape.key_dim);
    const Rows v = values.columns(head * shape.value_dim, shape.value_dim);
    for (int32_t done = 0; done < count;) {
      const int32_t at = lane.tokens % kPageTokens, rows = std::min(count - done, kPageTokens - at);
      if (at == 0) lane.pages.push_back(TRY(fresh(lane)));
      std::byte* page = lane.pages.back()->at;
      ops.encode(k.slice(done, rows), codec(), {page + at * layout.key_row, size_t(rows * layout.key_row)});
      ops.encode(v.slice(done, rows), codec(),
                 {page + layout.values_at() + at * layout.value_row, size_t(rows * layout.value_row)});
      std::memcpy(page + layout.positions_at() + at * int64_t(sizeof(int32_t)), &positions[size_t(done)],
                  size_t(rows) * sizeof(int32_t));
      lane.tokens += rows;
      done += rows;
      refresh(lane, lane.pages.size() - 1);
    }
  }
  appended_[size_t(layer)] += count;
  return {};
}

void PackedKv::refresh(Lane& lane, size_t first_page) {
  lane.views.resize(lane.pages.size());
  for (size_t i = first_page; i < lane.pages.size(); ++i) {
    const KvPage& page = *lane.pages[i];
    const KvPageLayout& layout = page.pool->layout;
    const auto rows = size_t(std::min<int64_t>(kPageTokens, lane.tokens - int64_t(i) * int64_t(kPageTokens)));
    const size_t held = page.pool == pool_->packed ? size_t(kPageTokens) : rows;
    lane.views[i] = {.keys = {page.at, held * size_t(layout.key_row)},
                     .values = {page.at + layout.values_at(), held * size_t(layout.value_row)},
                     .positions = {reinterpret_cast<const int32_t*>(page.at + layout.positions_at()), rows}};
    if (page.pool == pool_->packed) lane.views[i].pack = pool_->methods.pack.get();
  }
  lane_views_[size_t(&lane - lanes_.data())] = lane.views;
}

KvLanes PackedKv::lanes(int32_t layer) {
  const auto heads = size_t(pool_->shape.kv_heads);
  return std::span(lane_views_).subspan(size_t(layer) * heads, heads);
}

Result<KvLanes> PackedKv::reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) {
  const auto all = lanes(layer);
  const KvLanes read = selection_ ? TRY(selection_->choose(ops, layer, all, queries, how, notes_)) : all;
  return nearer_.move(ops, pool_->positions, layer, read, all[0].back().positions.back(), how);
}

KvCounts PackedKv::counts() const {
  KvCounts counts;
  for (const Lane& lane : lanes_) {
    counts.kept += lane.tokens;
    for (const KvPagePtr& page : lane.pages) ++(packed(page) ? counts.packed : counts.rows);
  }
  if (selection_) counts.read = selection_->read(), counts.of = selection_->of();
  return counts;
}

Status PackedKv::truncate(int32_t tokens) {
  if (tokens < 0 || tokens > this->tokens()) {
    return Status(Code::invalid, "cannot cut " + std::to_string(this->tokens()) + " cached tokens to " +
                                     std::to_string(tokens));
  }
  for (Lane& lane : lanes_) {
    lane.tokens = tokens;
    while (int64_t(lane.pages.size()) > kv_pages_for(tokens)) {
      give_back(std::move(lane.pages.back()));
      lane.pages.pop_back();
    }
    refresh(lane, lane.pages.empty() ? 0 : lane.pages.size() - 1);
  }
  std::fill(appended_.begin(), appended_.end(), tokens);
  notes_.cut(tokens);
  if (selection_) selection_->forget(tokens);
  return {};
}

Result<KvSnapshot> PackedKv::snapshot(int32_t first_tokens) const {
  if (first_tokens < 0 || first_tokens > tokens())
    return Status(Code::invalid, "a snapshot of more tokens than there are");
  KvSnapshot all;
  all.tokens = first_tokens;
  for (const Lane& lane : lanes_) {
    all.pages.insert(all.pages.end(), lane.pages.begin(), lane.pages.begin() + kv_pages_for(first_tokens));
  }
  return all;
}

std::vector<KvPagePtr> PackedKv::pages() const {
  std::vector<KvPagePtr> all;
  for (size_t block = 0, before = 1; all.size() != before; ++block) {
    before = all.size();
    for (const Lane& lane : lanes_) {
      if (block < lane.pages.size()) all.push_back(lane.pages[block]);
    }
  }
  return all;
}

void PackedKv::set_pages(std::span<const KvPagePtr> pages) {
  for (Lane& lane : lanes_) lane.pages.clear();
  spare_rows_.clear(), spare_packed_.clear();
  auto next = pages.begin();
  for (size_t block = 0; next != pages.end(); ++block) {
    for (Lane& lane : lanes_) {
      if (int64_t(block) < kv_pages_for(lane.tokens)) lane.pages.push_back(*next++);
    }
  }
  for (Lane& lane : lanes_) refresh(lane, 0);
}

}  // namespace

void pack_page(const PagePack& pack, const KvPage& from, KvPage& to) {
  const KvShape& shape = from.pool->shape;
  const KvPageLayout &was = from.pool->layout, &is = to.pool->layout;
  std::vector<float> rows(size_t(kPageTokens) * size_t(std::max(shape.key_dim, shape.value_dim)));
  const auto part = [&](int32_t dim) { return std::span(rows).first(size_t(kPageTokens * dim)); };
  from.pool->codec.decode({from.at, size_t(was.values_at())}, part(shape.key_dim));
  pack.encode_keys(part(shape.key_dim), shape.key_dim, to.at);
  from.pool->codec.decode({from.at + was.values_at(), size_t(was.positions_at() - was.values_at())},
                          part(shape.value_dim));
  pack.encode_values(part(shape.value_dim), shape.value_dim, to.at + is.values_at());
  std::memcpy(to.at + is.positions_at(), from.at + was.positions_at(), kPageTokens * sizeof(int32_t));
}

void unpack_page(const PagePack& pack, const KvPage& from, KvPage& to) {
  const KvShape& shape = from.pool->shape;
  const KvPageLayout &was = from.pool->layout, &is = to.pool->layout;
  std::vector<float> rows(size_t(kPageTokens) * size_t(std::max(shape.key_dim, shape.value_dim)));
  const auto part = [&](int32_t dim) { return std::span(rows).first(size_t(kPageTokens * dim)); };
  pack.decode_keys(from.at, shape.key_dim, rows.data());
  to.pool->codec.encode(part(shape.key_dim), {to.at, size_t(is.values_at())});
  pack.decode_values(from.at + was.values_at(), shape.value_dim, rows.data());
  to.pool->codec.encode(part(shape.value_dim),
                        {to.at + is.values_at(), size_t(is.positions_at() - is.values_at())});
  std::memcpy(to.at + is.positions_at(), from.at + was.positions_at(), kPageTokens * sizeof(int32_t));
}

KvPageCounts kv_packed_pages(const PagePack& pack, int64_t tokens) {
  const int64_t residual = kv_pages_for(pack.residual()) + 1 + kAheadPages;
  return {.rows = std::min(kv_pages_for(tokens), residual),
          .packed = std::max<int64_t>(0, tokens - pack.residual()) / kPageTokens};
}

std::unique_ptr<KvCache> make_packed_kv(std::shared_ptr<KvPool> pool, const KvSnapshot& from) {
  return std::make_unique<PackedKv>(std::move(pool), from);
}

}  // namespace varve

#include "run/kv/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "run/kv/paged_kv.h"

namespace varve {
namespace {

bool shared(const KvPagePtr& page) {
  return page.use_count() > 1;
}

}  // namespace

PagedKv::PagedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from)
    : pool_(std::move(pool)),
      lanes_(size_t(pool_->shape.layers) * pool_->shape.kv_heads),
      lane_views_(lanes_.size()),
      appended_(size_t(pool_->shape.layers), from.tokens),
      memo_(lanes_.size() * size_t(pool_->methods.needs.memo)),
      selection_(make_selection(*pool_)),
      nearer_(pool_->ledger()) {
  const size_t each = size_t(kv_pages_for(from.tokens));
  for (size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].pages.assign(from.pages.begin() + i * each, from.pages.begin() + (i + 1) * each);
    lanes_[i].tokens = from.tokens;
    if (needs().attention != KvNeeds::Attention::none) lanes_[i].seen.resize(size_t(from.tokens));
    refresh(lanes_[i], 0);
  }
}

std::byte* PagedKv::key_at(const PagedLane& lane, int64_t token) const {
  return lane.pages[size_t(token / kPageTokens)]->at + token % kPageTokens * pool_->layout.key_row;
}
std::byte* PagedKv::value_at(const PagedLane& lane, int64_t token) const {
  return lane.pages[size_t(token / kPageTokens)]->at + pool_->layout.values_at() +
         token % kPageTokens * pool_->layout.value_row;
}
int32_t* PagedKv::position_at(const PagedLane& lane, int64_t token) const {
  return reinterpret_cast<int32_t*>(lane.pages[size_t(token / kPageTokens)]->at +
                                    pool_->layout.positions_at()) +
         token % kPageTokens;
}
float* PagedKv::weight_at(const PagedLane& lane, int64_t token) const {
  return reinterpret_cast<float*>(lane.pages[size_t(token / kPageTokens)]->at + pool_->layout.weights_at()) +
         token % kPageTokens;
}

float* PagedKv::mark_at(const PagedLane& lane, int64_t token) const {
  return reinterpret_cast<float*>(lane.pages[size_t(token / kPageTokens)]->at + pool_->layout.marks_at()) +
         token % kPageTokens;
}

std::span<PagedLane> PagedKv::layer_lanes(int32_t layer) {
  CHECK(layer >= 0 && layer < pool_->shape.layers, "no such layer");
  const size_t heads = size_t(pool_->shape.kv_heads);
  return std::span(lanes_).subspan(layer * heads, heads);
}

int64_t PagedKv::page_count() const {
  size_t pages = spare_.size();
  for (const PagedLane& lane : lanes_) pages += lane.pages.size();
  return int64_t(pages);
}

int64_t PagedKv::bytes() const {
  return page_count() * pool_->layout.bytes() + noted_.bytes() + (selection_ ? selection_->bytes() : 0) +
         nearer_.bytes();
}

Status PagedKv::reserve(int32_t more_tokens) {
  CHECK(more_tokens >= 0, "a negative number of tokens");
  if (more_tokens == 0) return {};
  if (pool_->methods.allotter != nullptr) {
    TRY(reserve_uneven(more_tokens));
  } else {
    Room room{.more = more_tokens};
    if (const int32_t budget = pool_->methods.budget_tokens; budget > 0) {
      room.at_most = int64_t(budget) + kPageTokens;
      room.compaction = int64_t(tokens()) + more_tokens > budget;
    }
    TRY(make_room(lanes_, room));
  }
  return reserve_notes(more_tokens);
}

// Which lane will need them, the allotter says later.
Status PagedKv::reserve_uneven(int32_t more_tokens) {
  const int64_t most = kv_most_pages(pool_->methods.budget_tokens, true, int64_t(tokens()) + more_tokens);
  int64_t missing = most * int64_t(lanes_.size()) - page_count();
  for (const PagedLane& lane : lanes_) missing += std::count_if(lane.pages.begin(), lane.pages.end(), shared);
  if (missing > 0) {
    std::vector<KvPagePtr> taken = TRY(pool_->take(missing));
    std::move(taken.begin(), taken.end(), std::back_inserter(spare_));
  }
  return make_room(lanes_, {.compaction = true});
}

Status PagedKv::reserve_notes(int32_t more_tokens) {
  const int64_t bytes = kv_notes_bytes(needs(), page_count(), int64_t(tokens()) + more_tokens);
  if (bytes <= noted_.bytes()) return {};
  if (noted_.bytes() > 0) return noted_.resize(bytes);
  noted_ = TRY(pool_->ledger().reserve(Tag::kv, bytes));
  return {};
}

Result<std::vector<KvPagePtr>> PagedKv::take(int64_t pages) {
  if (pages > int64_t(spare_.size())) return pool_->take(pages);
  std::vector<KvPagePtr> taken(std::make_move_iterator(spare_.end() - pages),
                               std::make_move_iterator(spare_.end()));
  spare_.resize(spare_.size() - size_t(pages));
  return taken;
}

// Pages are given out block by block: those of the same tokens lie in one slab, and leave it together.
Status PagedKv::make_room(std::span<PagedLane> lanes, const Room& room) {
  const auto target = [&](const PagedLane& lane) {
    const int64_t resident = std::min(room.at_most, lane.tokens + room.more);
    return size_t(kv_pages_for(std::max<int64_t>(lane.tokens, resident)));
  };
  int64_t missing = 0;
  std::vector<KvPagePtr*> copied;
  for (PagedLane& lane : lanes) {
    missing += std::max<int64_t>(0, int64_t(target(lane)) - int64_t(lane.pages.size()));
    const size_t used = size_t(kv_pages_for(lane.tokens));
    for (size_t page = room.compaction ? 0 : size_t(lane.tokens / kPageTokens); page < used; ++page) {
      if (shared(lane.pages[page])) copied.push_back(&lane.pages[page]);
    }
  }
  std::vector<KvPagePtr> taken = TRY(take(missing + int64_t(copied.size())));
  auto next = taken.begin();
  for (KvPagePtr* page : copied) {
    std::memcpy((*next)->at, (*page)->at, size_t(pool_->layout.bytes()));
    *page = std::move(*next++);
  }
  for (size_t block = 0; next != taken.end(); ++block) {
    for (PagedLane& lane : lanes) {
      if (lane.pages.size() == block && block < target(lane)) lane.pages.push_back(std::move(*next++));
    }
  }
  if (!copied.empty()) {
    for (PagedLane& lane : lanes) refresh(lane, 0);
  }
  return {};
}

Status PagedKv::append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) {
  const int32_t more = int32_t(positions.size());
  const KvShape& shape = pool_->shape;
  CHECK(keys.count() == more && values.count() == more, "keys, values and positions differ in number");
  CHECK(keys.width() == shape.kv_heads * shape.key_dim && values.width() == shape.kv_heads * shape.value_dim,
        "keys or values of another shape");
  std::span<PagedLane> lanes = layer_lanes(layer);
  if (needs().hidden) TRY(mark(ops, layer, positions.size()));
  if (!patching_) TRY(make_room(lanes, {.more = more}));
  for (int32_t head = 0; head < shape.kv_heads; ++head) {
    write(ops, lanes[head], keys.columns(head * shape.key_dim, shape.key_dim),
          values.columns(head * shape.value_dim, shape.value_dim), positions);
  }
  if (!patching_) appended_[layer] += more;
  return {};
}

Status PagedKv::mark(Ops& ops, int32_t layer, size_t rows) {
  const Rows hidden = std::exchange(notes_.hidden, {});
  CHECK(size_t(hidden.count()) == rows, "a policy needs hidden states, and nobody told them");
  const size_t heads = size_t(pool_->shape.kv_heads);
  marks_.resize(rows * heads);
  std::vector<float> row(size_t(hidden.width()));
  for (size_t i = 0; i < rows; ++i) {
    ops.store(hidden.slice(int32_t(i), 1), row);
    TRY(pool_->methods.policy->mark(layer, row, std::span(marks_).subspan(i * heads, heads)));
  }
  return {};
}

void PagedKv::write(Ops& ops, PagedLane& lane, Rows keys, Rows values, std::span<const int32_t> positions) {
  if (patching_) return write_over(ops, lane, keys, values, positions);
  const size_t first_page = size_t(lane.tokens / kPageTokens);
  const size_t heads = size_t(pool_->shape.kv_heads), head = size_t(&lane - lanes_.data()) % heads;
  const int32_t count = int32_t(positions.size());
  for (int32_t done = 0; done < count;) {
    const int32_t rows = std::min(count - done, kPageTokens - lane.tokens % kPageTokens);
    const KvPageLayout& layout = pool_->layout;
    ops.encode(keys.slice(done, rows), codec(), {key_at(lane, lane.tokens), size_t(rows * layout.key_row)});
    ops.encode(values.slice(done, rows), codec(),
               {value_at(lane, lane.tokens), size_t(rows * layout.value_row)});
    std::copy_n(positions.begin() + done, rows, position_at(lane, lane.tokens));
    if (layout.weighted) std::fill_n(weight_at(lane, lane.tokens), rows, 0.f);
    for (int32_t i = 0; layout.marked && i < rows; ++i)
      *mark_at(lane, lane.tokens + i) = marks_[size_t(done + i) * heads + head];
    lane.tokens += rows;
    done += rows;
  }
  if (needs().attention != KvNeeds::Attention::none) {
    lane.seen.reserve(lane.pages.size() * kPageTokens);
    lane.seen.resize(size_t(lane.tokens));
  }
  refresh(lane, first_page);
}

void PagedKv::write_over(Ops& ops, PagedLane& lane, Rows keys, Rows values,
                         std::span<const int32_t> positions) {
  const KvPageLayout& layout = pool_->layout;
  const size_t heads = size_t(pool_->shape.kv_heads), head = size_t(&lane - lanes_.data()) % heads;
  for (int32_t i = 0; i < int32_t(positions.size()); ++i) {
    const int32_t at = positions[size_t(i)];
    CHECK(at < lane.tokens && *position_at(lane, at) == at && !shared(lane.pages[size_t(at / kPageTokens)]),
          "a patch of what is not there, or is somebody else's");
    ops.encode(keys.slice(i, 1), codec(), {key_at(lane, at), size_t(layout.key_row)});
    ops.encode(values.slice(i, 1), codec(), {value_at(lane, at), size_t(layout.value_row)});
    if (layout.marked) *mark_at(lane, at) = marks_[size_t(i) * heads + head];
  }
}

void PagedKv::refresh(PagedLane& lane, size_t first_page) {
  lane.views.resize(size_t(kv_pages_for(lane.tokens)));
  const KvPageLayout& layout = pool_->layout;
  for (size_t page = first_page; page < lane.views.size(); ++page) {
    const int64_t token = int64_t(page) * kPageTokens;
    const size_t rows = size_t(std::min<int64_t>(kPageTokens, lane.tokens - token));
    lane.views[page] = {.keys = {key_at(lane, token), rows * size_t(layout.key_row)},
                        .values = {value_at(lane, token), rows * size_t(layout.value_row)},
                        .positions = {position_at(lane, token), rows}};
    if (layout.weighted) lane.views[page].weights = {weight_at(lane, token), rows};
  }
  lane_views_[size_t(&lane - lanes_.data())] = lane.views;
}

KvLanes PagedKv::lanes(int32_t layer) {
  return std::span(lane_views_).subspan(size_t(layer) * pool_->shape.kv_heads, layer_lanes(layer).size());
}

Result<KvLanes> PagedKv::reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) {
  const auto all = lanes(layer);
  const KvLanes read = selection_ ? TRY(selection_->choose(ops, layer, all, queries, how, notes_)) : all;
  return nearer_.move(ops, pool_->positions, layer, read, all[0].back().positions.back(), how);
}

// A window is that before the next fit(), which comes at a full page: queries before it need not vote.
AttendScores PagedKv::scores(int32_t layer, std::span<const int32_t> positions) {
  const KvNeeds& needs = this->needs();
  if (needs.attention == KvNeeds::Attention::none || positions.empty()) return {};
  seen_views_.clear();
  for (PagedLane& lane : layer_lanes(layer)) seen_views_.emplace_back(lane.seen);
  AttendScores scores{.lanes = seen_views_, .hits = needs.attention == KvNeeds::Attention::hits};
  if (needs.attention != KvNeeds::Attention::window) {
    scores.fade = needs.window > 0 ? 1 - 1 / float(needs.window) : 1;
    return scores;
  }
  const int32_t page_end = (positions.back() / kPageTokens + 1) * kPageTokens;
  const auto first = std::lower_bound(positions.begin(), positions.end(), page_end - needs.window);
  if (first == positions.end()) return {};
  scores.first_row = int32_t(first - positions.begin());
  return scores;
}

KvCounts PagedKv::counts() const {
  KvCounts counts = gone_;
  for (const PagedLane& lane : lanes_) {
    counts.kept += lane.tokens;
    counts.rows += kv_pages_for(lane.tokens);
  }
  if (selection_) counts.read = selection_->read(), counts.of = selection_->of();
  return counts;
}

void PagedKv::cut(PagedLane& lane, int32_t tokens) {
  lane.tokens = tokens;
  if (!lane.seen.empty()) lane.seen.resize(size_t(tokens));
  const auto unused = lane.pages.begin() + kv_pages_for(tokens);
  lane.pages.erase(std::remove_if(unused, lane.pages.end(), shared), lane.pages.end());
  if (pool_->methods.allotter == nullptr) return;
  std::move(unused, lane.pages.end(), std::back_inserter(spare_));
  lane.pages.erase(unused, lane.pages.end());
}

Status PagedKv::truncate(int32_t tokens) {
  if (tokens < 0 || tokens > this->tokens()) {
    return Status(Code::invalid, "cannot cut " + std::to_string(this->tokens()) + " cached tokens to " +
                                     std::to_string(tokens));
  }
  if (tokens < floor_) return Status(Code::unsupported, "a KV policy has dropped tokens before that point");
  const size_t heads = size_t(pool_->shape.kv_heads);
  for (size_t i = 0; i < lanes_.size(); ++i) {
    PagedLane& lane = lanes_[i];
    cut(lane, lane.tokens - (appended_[i / heads] - tokens));
    refresh(lane, size_t(lane.tokens / kPageTokens));
  }
  std::fill(appended_.begin(), appended_.end(), tokens);
  notes_.cut(tokens);
  if (selection_) selection_->forget(floor_ > 0 ? 0 : tokens);
  return {};
}

Result<KvSnapshot> PagedKv::snapshot(int32_t first_tokens) const {
  if (first_tokens < 0 || first_tokens > tokens()) {
    return Status(Code::invalid, "a snapshot of more tokens than there are");
  }
  if (floor_ > 0) return Status(Code::unsupported, "a KV policy has dropped tokens of this sequence");
  KvSnapshot all;
  all.tokens = first_tokens;
  for (const PagedLane& lane : lanes_) {
    all.pages.insert(all.pages.end(), lane.pages.begin(), lane.pages.begin() + kv_pages_for(first_tokens));
  }
  return all;
}

// Block by block, so that pages of one slab come from it together.
std::vector<KvPagePtr> PagedKv::pages() const {
  std::vector<KvPagePtr> all;
  for (size_t block = 0, before = 1; all.size() != before; ++block) {
    before = all.size();
    for (const PagedLane& lane : lanes_) {
      if (int64_t(block) < kv_pages_for(lane.tokens)) all.push_back(lane.pages[block]);
    }
  }
  return all;
}

void PagedKv::set_pages(std::span<const KvPagePtr> pages) {
  spare_.clear();
  for (PagedLane& lane : lanes_) {
    lane.pages.clear();
    lane.views.clear();
    lane_views_[size_t(&lane - lanes_.data())] = {};
  }
  if (pages.empty()) return;
  auto next = pages.begin();
  for (size_t block = 0; next != pages.end(); ++block) {
    for (PagedLane& lane : lanes_) {
      if (int64_t(block) < kv_pages_for(lane.tokens)) lane.pages.push_back(*next++);
    }
  }
  for (PagedLane& lane : lanes_) refresh(lane, 0);
}

int64_t KvSnapshot::bytes() const {
  int64_t bytes = 0;
  for (const auto& page : pages) bytes += page->pool->layout.bytes();
  return bytes;
}

Result<std::unique_ptr<KvCache>> make_kv_cache(std::shared_ptr<KvPool> pool, const KvSnapshot& from) {
  const int64_t lanes = int64_t(pool->shape.layers) * pool->shape.kv_heads;
  if (from.tokens < 0 || int64_t(from.pages.size()) != kv_pages_for(from.tokens) * lanes ||
      std::any_of(from.pages.begin(), from.pages.end(),
                  [&](const auto& page) { return page->pool != pool && page->pool != pool->packed; })) {
    return Status(Code::invalid, "a KV snapshot of another pool");
  }
  if (pool->packed != nullptr) return make_packed_kv(std::move(pool), from);
  if (pool->disk != nullptr && pool->ram_tokens > 0) return make_tiered_kv(std::move(pool), from);
  return std::unique_ptr<KvCache>(std::make_unique<PagedKv>(std::move(pool), from));
}

}  // namespace varve

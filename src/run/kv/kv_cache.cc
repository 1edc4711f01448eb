// A lane is a list of pages; every lane of a layer grows alike, but a policy may keep other tokens in each.
// A page that somebody else holds too is never written: make_room() puts a copy in its place first.
#include "run/kv/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "run/kv/kv_pool.h"

namespace varve {
namespace {

struct Lane {
  std::vector<KvPagePtr> pages;  // those in use, then those reserved
  std::vector<KvPageView> views;
  int32_t tokens = 0;  // resident
};

bool shared(const KvPagePtr& page) {
  return page.use_count() > 1;
}

class PagedKv : public KvCache {
 public:
  PagedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);

  int32_t tokens() const override { return *std::min_element(appended_.begin(), appended_.end()); }
  int64_t bytes() const override;
  Status reserve(int32_t more_tokens) override;
  Status append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) override;
  std::span<const std::span<const KvPageView>> lanes(int32_t layer) override;
  const Codec& codec() const override { return pool_->codec; }
  Status fit() override;
  Status truncate(int32_t tokens) override;
  Result<KvSnapshot> snapshot(int32_t first_tokens) const override;
  std::vector<KvPagePtr> pages() const override;
  void set_pages(std::span<const KvPagePtr> pages) override;

 private:
  std::byte* key_at(const Lane& lane, int64_t token) const;
  std::byte* value_at(const Lane& lane, int64_t token) const;
  int32_t* position_at(const Lane& lane, int64_t token) const;
  std::span<Lane> layer_lanes(int32_t layer);

  struct Room {
    int64_t more = 0;                                       // tokens
    int64_t at_most = std::numeric_limits<int64_t>::max();  // resident at one time
    bool compaction = false;                                // any page may be written, not only the newest
  };
  Status make_room(std::span<Lane> lanes, const Room& room);
  void keep(Lane& lane, const KvPlan& plan);    // compacts
  void cut(Lane& lane, int32_t tokens);         // whole pages stay reserved
  void refresh(Lane& lane, size_t first_page);  // views of this page and the later ones
  void write(Ops& ops, Lane& lane, Rows keys, Rows values, std::span<const int32_t> positions);

  std::shared_ptr<KvPool> pool_;
  std::vector<Lane> lanes_;                              // layer by layer
  std::vector<std::span<const KvPageView>> lane_views_;  // likewise
  std::vector<int32_t> appended_;                        // to each layer
  int32_t floor_ = 0;                                    // tokens() when a policy last dropped any
};

PagedKv::PagedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from)
    : pool_(std::move(pool)),
      lanes_(size_t(pool_->shape.layers) * pool_->shape.kv_heads),
      lane_views_(lanes_.size()),
      appended_(size_t(pool_->shape.layers), from.tokens) {
  const size_t each = size_t(kv_pages_for(from.tokens));
  for (size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].pages.assign(from.pages.begin() + i * each, from.pages.begin() + (i + 1) * each);
    lanes_[i].tokens = from.tokens;
    refresh(lanes_[i], 0);
  }
}

std::byte* PagedKv::key_at(const Lane& lane, int64_t token) const {
  return lane.pages[size_t(token / kPageTokens)]->at + token % kPageTokens * pool_->layout.key_row;
}
std::byte* PagedKv::value_at(const Lane& lane, int64_t token) const {
  return lane.pages[size_t(token / kPageTokens)]->at + pool_->layout.values_at() +
         token % kPageTokens * pool_->layout.value_row;
}
int32_t* PagedKv::position_at(const Lane& lane, int64_t token) const {
  return reinterpret_cast<int32_t*>(lane.pages[size_t(token / kPageTokens)]->at +
                                    pool_->layout.positions_at()) +
         token % kPageTokens;
}

std::span<Lane> PagedKv::layer_lanes(int32_t layer) {
  CHECK(layer >= 0 && layer < pool_->shape.layers, "no such layer");
  const size_t heads = size_t(pool_->shape.kv_heads);
  return std::span(lanes_).subspan(layer * heads, heads);
}

int64_t PagedKv::bytes() const {
  size_t pages = 0;
  for (const Lane& lane : lanes_) pages += lane.pages.size();
  return int64_t(pages) * pool_->layout.bytes();
}

Status PagedKv::reserve(int32_t more_tokens) {
  CHECK(more_tokens >= 0, "a negative number of tokens");
  if (more_tokens == 0) return {};
  Room room{.more = more_tokens};
  if (const int32_t budget = pool_->budget_tokens; budget > 0) {
    room.at_most = int64_t(budget) + kPageTokens;
    room.compaction = int64_t(tokens()) + more_tokens > budget;
  }
  return make_room(lanes_, room);
}

// Pages are given out block by block: those of the same tokens lie in one slab, and leave it together.
Status PagedKv::make_room(std::span<Lane> lanes, const Room& room) {
  const auto target = [&](const Lane& lane) {
    const int64_t resident = std::min(room.at_most, lane.tokens + room.more);
    return size_t(kv_pages_for(std::max<int64_t>(lane.tokens, resident)));
  };
  int64_t missing = 0;
  std::vector<KvPagePtr*> copied;
  for (Lane& lane : lanes) {
    missing += std::max<int64_t>(0, int64_t(target(lane)) - int64_t(lane.pages.size()));
    const size_t used = size_t(kv_pages_for(lane.tokens));
    for (size_t page = room.compaction ? 0 : size_t(lane.tokens / kPageTokens); page < used; ++page) {
      if (shared(lane.pages[page])) copied.push_back(&lane.pages[page]);
    }
  }
  std::vector<KvPagePtr> taken = TRY(pool_->take(missing + int64_t(copied.size())));
  auto next = taken.begin();
  for (KvPagePtr* page : copied) {
    std::memcpy((*next)->at, (*page)->at, size_t(pool_->layout.bytes()));
    *page = std::move(*next++);
  }
  for (size_t block = 0; next != taken.end(); ++block) {
    for (Lane& lane : lanes) {
      if (lane.pages.size() == block && block < target(lane)) lane.pages.push_back(std::move(*next++));
    }
  }
  if (!copied.empty()) {
    for (Lane& lane : lanes) refresh(lane, 0);
  }
  return {};
}

Status PagedKv::append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) {
  const int32_t more = int32_t(positions.size());
  const KvShape& shape = pool_->shape;
  CHECK(keys.count() == more && values.count() == more, "keys, values and positions differ in number");
  CHECK(keys.width() == shape.kv_heads * shape.key_dim && values.width() == shape.kv_heads * shape.value_dim,
        "keys or values of another shape");
  std::span<Lane> lanes = layer_lanes(layer);
  TRY(make_room(lanes, {.more = more}));
  for (int32_t head = 0; head < shape.kv_heads; ++head) {
    write(ops, lanes[head], keys.columns(head * shape.key_dim, shape.key_dim),
          values.columns(head * shape.value_dim, shape.value_dim), positions);
  }
  appended_[layer] += more;
  return {};
}

void PagedKv::write(Ops& ops, Lane& lane, Rows keys, Rows values, std::span<const int32_t> positions) {
  const size_t first_page = size_t(lane.tokens / kPageTokens);
  const int32_t count = int32_t(positions.size());
  for (int32_t done = 0; done < count;) {
    const int32_t rows = std::min(count - done, kPageTokens - lane.tokens % kPageTokens);
    const KvPageLayout& layout = pool_->layout;
    ops.encode(keys.slice(done, rows), codec(), {key_at(lane, lane.tokens), size_t(rows * layout.key_row)});
    ops.encode(values.slice(done, rows), codec(),
               {value_at(lane, lane.tokens), size_t(rows * layout.value_row)});
    std::copy_n(positions.begin() + done, rows, position_at(lane, lane.tokens));
    lane.tokens += rows;
    done += rows;
  }
  refresh(lane, first_page);
}

void PagedKv::refresh(Lane& lane, size_t first_page) {
  lane.views.resize(size_t(kv_pages_for(lane.tokens)));
  const KvPageLayout& layout = pool_->layout;
  for (size_t page = first_page; page < lane.views.size(); ++page) {
    const int64_t token = int64_t(page) * kPageTokens;
    const size_t rows = size_t(std::min<int64_t>(kPageTokens, lane.tokens - token));
    lane.views[page] = {.keys = {key_at(lane, token), rows * size_t(layout.key_row)},
                        .values = {value_at(lane, token), rows * size_t(layout.value_row)},
                        .positions = {position_at(lane, token), rows}};
  }
  lane_views_[size_t(&lane - lanes_.data())] = lane.views;
}

std::span<const std::span<const KvPageView>> PagedKv::lanes(int32_t layer) {
  return std::span(lane_views_).subspan(size_t(layer) * pool_->shape.kv_heads, layer_lanes(layer).size());
}

Status PagedKv::fit() {
  const int32_t budget = pool_->budget_tokens;
  if (budget == 0) return {};
  if (std::all_of(lanes_.begin(), lanes_.end(), [&](const Lane& lane) { return lane.tokens <= budget; })) {
    return {};
  }
  TRY(make_room(lanes_, {.compaction = true}));
  std::vector<int32_t> positions;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    if (lane.tokens <= budget) continue;
    positions.clear();
    for (const KvPageView& view : lane.views) {
      positions.insert(positions.end(), view.positions.begin(), view.positions.end());
    }
    const int heads = pool_->shape.kv_heads;
    const KvLane shown{.layer = int(i) / heads, .head = int(i) % heads, .positions = positions};
    const KvPlan plan = pool_->policy->plan(shown, size_t(budget));
    CHECK(plan.fate.size() == positions.size(), "a KV plan for another lane");
    keep(lane, plan);
    floor_ = tokens();
  }
  return {};
}

void PagedKv::keep(Lane& lane, const KvPlan& plan) {
  const auto first = std::find(plan.fate.begin(), plan.fate.end(), Fate::drop) - plan.fate.begin();
  int64_t to = first;
  for (int64_t from = first; from < lane.tokens; ++from) {
    const Fate fate = plan.fate[size_t(from)];
    CHECK(fate == Fate::keep || fate == Fate::drop, "a KV plan to spill or merge, which nothing here does");
    if (fate == Fate::drop) continue;
    std::memcpy(key_at(lane, to), key_at(lane, from), size_t(pool_->layout.key_row));
    std::memcpy(value_at(lane, to), value_at(lane, from), size_t(pool_->layout.value_row));
    *position_at(lane, to) = *position_at(lane, from);
    ++to;
  }
  cut(lane, int32_t(to));
  refresh(lane, size_t(first / kPageTokens));
}

void PagedKv::cut(Lane& lane, int32_t tokens) {
  lane.tokens = tokens;
  const auto unused = lane.pages.begin() + kv_pages_for(tokens);
  lane.pages.erase(std::remove_if(unused, lane.pages.end(), shared), lane.pages.end());
}

Status PagedKv::truncate(int32_t tokens) {
  if (tokens < 0 || tokens > this->tokens()) {
    return Status(Code::invalid, "cannot cut " + std::to_string(this->tokens()) + " cached tokens to " +
                                     std::to_string(tokens));
  }
  if (tokens < floor_) return Status(Code::unsupported, "a KV policy has dropped tokens before that point");
  const size_t heads = size_t(pool_->shape.kv_heads);
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    cut(lane, lane.tokens - (appended_[i / heads] - tokens));
    refresh(lane, size_t(lane.tokens / kPageTokens));
  }
  std::fill(appended_.begin(), appended_.end(), tokens);
  return {};
}

Result<KvSnapshot> PagedKv::snapshot(int32_t first_tokens) const {
  if (first_tokens < 0 || first_tokens > tokens()) {
    return Status(Code::invalid, "a snapshot of more tokens than there are");
  }
  if (floor_ > 0) return Status(Code::unsupported, "a KV policy has dropped tokens of this sequence");
  KvSnapshot all;
  all.tokens = first_tokens;
  for (const Lane& lane : lanes_) {
    all.pages.insert(all.pages.end(), lane.pages.begin(), lane.pages.begin() + kv_pages_for(first_tokens));
  }
  return all;
}

// Block by block, so that pages of one slab come from it together.
std::vector<KvPagePtr> PagedKv::pages() const {
  std::vector<KvPagePtr> all;
  for (size_t block = 0, before = 1; all.size() != before; ++block) {
    before = all.size();
    for (const Lane& lane : lanes_) {
      if (int64_t(block) < kv_pages_for(lane.tokens)) all.push_back(lane.pages[block]);
    }
  }
  return all;
}

void PagedKv::set_pages(std::span<const KvPagePtr> pages) {
  for (Lane& lane : lanes_) {
    lane.pages.clear();
    lane.views.clear();
    lane_views_[size_t(&lane - lanes_.data())] = {};
  }
  if (pages.empty()) return;
  auto next = pages.begin();
  for (size_t block = 0; next != pages.end(); ++block) {
    for (Lane& lane : lanes_) {
      if (int64_t(block) < kv_pages_for(lane.tokens)) lane.pages.push_back(*next++);
    }
  }
  for (Lane& lane : lanes_) refresh(lane, 0);
}

}  // namespace

int64_t KvSnapshot::bytes() const {
  return pages.empty() ? 0 : int64_t(pages.size()) * pages.front()->pool->layout.bytes();
}

Result<std::unique_ptr<KvCache>> make_kv_cache(std::shared_ptr<KvPool> pool, const KvSnapshot& from) {
  const int64_t lanes = int64_t(pool->shape.layers) * pool->shape.kv_heads;
  if (from.tokens < 0 || int64_t(from.pages.size()) != kv_pages_for(from.tokens) * lanes ||
      std::any_of(from.pages.begin(), from.pages.end(),
                  [&](const auto& page) { return page->pool != pool; })) {
    return Status(Code::invalid, "a KV snapshot of another pool");
  }
  return std::unique_ptr<KvCache>(std::make_unique<PagedKv>(std::move(pool), from));
}

}  // namespace varve

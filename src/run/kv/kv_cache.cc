// A lane is a list of pages; every lane of a layer grows alike, but a policy may keep other tokens in each.
// A page that somebody else holds too is never written: make_room() puts a copy in its place first.
#include "run/kv/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "run/kv/kv_pool.h"

namespace varve {
namespace {

struct Lane {
  std::vector<KvPagePtr> pages;  // those in use, then those reserved
  std::vector<KvPageView> views;
  std::vector<float> seen;  // attention that each token received; empty unless the policy asks
  int32_t tokens = 0;       // resident
};

bool shared(const KvPagePtr& page) {
  return page.use_count() > 1;
}

// What a plan is made from, lane by lane in the same room.
struct FitRoom {
  std::span<const int32_t> positions;  // of the lane
  std::span<float> keys;               // room for a lane's
  std::vector<float>& surprise;
};

class PagedKv : public KvCache {
 public:
  PagedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);

  int32_t tokens() const override { return *std::min_element(appended_.begin(), appended_.end()); }
  int64_t bytes() const override;
  Status reserve(int32_t more_tokens) override;
  Status append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) override;
  std::span<const std::span<const KvPageView>> lanes(int32_t layer) override;
  const Codec& codec() const override { return pool_->codec; }
  AttendScores scores(int32_t layer, std::span<const int32_t> positions) override;
  void surprise(int32_t first, std::span<const float> nats) override;
  const KvNeeds& needs() const override { return pool_->methods.needs; }
  KvCounts counts() const override;
  Status fit() override;
  Status truncate(int32_t tokens) override;
  Result<KvSnapshot> snapshot(int32_t first_tokens) const override;
  std::vector<KvPagePtr> pages() const override;
  void set_pages(std::span<const KvPagePtr> pages) override;

 private:
  std::byte* key_at(const Lane& lane, int64_t token) const;
  std::byte* value_at(const Lane& lane, int64_t token) const;
  int32_t* position_at(const Lane& lane, int64_t token) const;
  float* weight_at(const Lane& lane, int64_t token) const;
  std::span<Lane> layer_lanes(int32_t layer);

  struct Room {
    int64_t more = 0;                                       // tokens
    int64_t at_most = std::numeric_limits<int64_t>::max();  // resident at one time
    bool compaction = false;                                // any page may be written, not only the newest
  };
  Status make_room(std::span<Lane> lanes, const Room& room);
  Status reserve_uneven(int32_t more_tokens);
  Status reserve_notes(int32_t more_tokens);
  int64_t page_count() const;
  Result<std::vector<KvPagePtr>> take(int64_t pages);  // reserved ones first
  bool over_budget() const;
  Status drop_rest();
  std::vector<int32_t> allotments(std::span<const int32_t> positions) const;
  KvPlan plan(size_t lane, size_t keep, const FitRoom& room);
  void absorb(Lane& lane, const KvPlan& plan);  // what merges, into what stays
  void mix(Lane& lane, std::span<const int32_t> group, const KvPlan& plan);
  void keep(Lane& lane, const KvPlan& plan);    // compacts
  void cut(Lane& lane, int32_t tokens);         // whole pages stay reserved
  void refresh(Lane& lane, size_t first_page);  // views of this page and the later ones
  void write(Ops& ops, Lane& lane, Rows keys, Rows values, std::span<const int32_t> positions);

  std::shared_ptr<KvPool> pool_;
  std::vector<Lane> lanes_;                              // layer by layer
  std::vector<std::span<const KvPageView>> lane_views_;  // likewise
  std::vector<int32_t> appended_;                        // to each layer
  int32_t floor_ = 0;                                    // tokens() when a policy last dropped any
  std::vector<KvPagePtr> spare_;              // reserved, for whichever lane grows: uneven ones only
  std::vector<std::span<float>> seen_views_;  // of one layer
  std::vector<float> surprise_;               // by place in the sequence
  std::vector<float> memo_;                   // of the policy, lane by lane
  Reservation notes_;                         // of what was seen and surprise
  KvCounts gone_;
};

PagedKv::PagedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from)
    : pool_(std::move(pool)),
      lanes_(size_t(pool_->shape.layers) * pool_->shape.kv_heads),
      lane_views_(lanes_.size()),
      appended_(size_t(pool_->shape.layers), from.tokens),
      memo_(lanes_.size() * size_t(pool_->methods.needs.memo)) {
  const size_t each = size_t(kv_pages_for(from.tokens));
  for (size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].pages.assign(from.pages.begin() + i * each, from.pages.begin() + (i + 1) * each);
    lanes_[i].tokens = from.tokens;
    if (needs().attention != KvNeeds::Attention::none) lanes_[i].seen.resize(size_t(from.tokens));
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
float* PagedKv::weight_at(const Lane& lane, int64_t token) const {
  return reinterpret_cast<float*>(lane.pages[size_t(token / kPageTokens)]->at + pool_->layout.weights_at()) +
         token % kPageTokens;
}

std::span<Lane> PagedKv::layer_lanes(int32_t layer) {
  CHECK(layer >= 0 && layer < pool_->shape.layers, "no such layer");
  const size_t heads = size_t(pool_->shape.kv_heads);
  return std::span(lanes_).subspan(layer * heads, heads);
}

int64_t PagedKv::page_count() const {
  size_t pages = spare_.size();
  for (const Lane& lane : lanes_) pages += lane.pages.size();
  return int64_t(pages);
}

int64_t PagedKv::bytes() const {
  return page_count() * pool_->layout.bytes() + notes_.bytes();
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
  for (const Lane& lane : lanes_) missing += std::count_if(lane.pages.begin(), lane.pages.end(), shared);
  if (missing > 0) {
    std::vector<KvPagePtr> taken = TRY(pool_->take(missing));
    std::move(taken.begin(), taken.end(), std::back_inserter(spare_));
  }
  return make_room(lanes_, {.compaction = true});
}

Status PagedKv::reserve_notes(int32_t more_tokens) {
  const int64_t bytes = kv_notes_bytes(needs(), page_count(), int64_t(tokens()) + more_tokens);
  if (bytes <= notes_.bytes()) return {};
  if (notes_.bytes() > 0) return notes_.resize(bytes);
  notes_ = TRY(pool_->ledger().reserve(Tag::kv, bytes));
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
  std::vector<KvPagePtr> taken = TRY(take(missing + int64_t(copied.size())));
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
    if (layout.weighted) std::fill_n(weight_at(lane, lane.tokens), rows, 0.f);
    lane.tokens += rows;
    done += rows;
  }
  if (needs().attention != KvNeeds::Attention::none) {
    lane.seen.reserve(lane.pages.size() * kPageTokens);
    lane.seen.resize(size_t(lane.tokens));
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
    if (layout.weighted) lane.views[page].weights = {weight_at(lane, token), rows};
  }
  lane_views_[size_t(&lane - lanes_.data())] = lane.views;
}

std::span<const std::span<const KvPageView>> PagedKv::lanes(int32_t layer) {
  return std::span(lane_views_).subspan(size_t(layer) * pool_->shape.kv_heads, layer_lanes(layer).size());
}

// A window is that before the next fit(), which comes at a full page: queries before it need not vote.
AttendScores PagedKv::scores(int32_t layer, std::span<const int32_t> positions) {
  const KvNeeds& needs = this->needs();
  if (needs.attention == KvNeeds::Attention::none || positions.empty()) return {};
  seen_views_.clear();
  for (Lane& lane : layer_lanes(layer)) seen_views_.emplace_back(lane.seen);
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

void PagedKv::surprise(int32_t first, std::span<const float> nats) {
  CHECK(first >= 0, "the surprise of a token before the first");
  if (!needs().surprise) return;
  if (surprise_.size() < size_t(first) + nats.size()) surprise_.resize(size_t(first) + nats.size());
  std::copy(nats.begin(), nats.end(), surprise_.begin() + first);
}

KvCounts PagedKv::counts() const {
  KvCounts counts = gone_;
  for (const Lane& lane : lanes_) counts.kept += lane.tokens;
  return counts;
}

bool PagedKv::over_budget() const {
  const int64_t budget = pool_->methods.budget_tokens;
  int64_t all = 0;
  for (const Lane& lane : lanes_) {
    if (pool_->methods.allotter == nullptr && lane.tokens > budget) return true;
    all += lane.tokens;
  }
  return all > budget * int64_t(lanes_.size());
}

Status PagedKv::fit() {
  if (pool_->methods.policy == nullptr) return {};
  if (over_budget()) TRY(drop_rest());
  if (needs().attention == KvNeeds::Attention::window) {
    for (Lane& lane : lanes_) std::fill(lane.seen.begin(), lane.seen.end(), 0.f);
  }
  return {};
}

Status PagedKv::drop_rest() {
  TRY(make_room(lanes_, {.compaction = true}));
  std::vector<int32_t> positions;
  int32_t longest = 0;
  for (const Lane& lane : lanes_) {
    longest = std::max(longest, lane.tokens);
    for (const KvPageView& view : lane.views)
      positions.insert(positions.end(), view.positions.begin(), view.positions.end());
  }
  const int64_t key_bytes =
      needs().keys ? int64_t(longest) * pool_->shape.key_dim * int64_t(sizeof(float)) : 0;
  Buffer keys = TRY(Buffer::make(pool_->ledger(), Tag::scratch, key_bytes).with("looking at cached keys"));
  std::vector<float> surprise;
  FitRoom room{
      {}, {reinterpret_cast<float*>(keys.bytes().data()), size_t(key_bytes) / sizeof(float)}, surprise};
  const std::vector<int32_t> allotted = allotments(positions);
  size_t at = 0;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    room.positions = std::span(positions).subspan(at, size_t(lane.tokens));
    at += size_t(lane.tokens);
    if (lane.tokens <= allotted[i]) continue;
    const KvPlan fates = plan(i, size_t(allotted[i]), room);
    absorb(lane, fates);
    keep(lane, fates);
  }
  floor_ = tokens();
  return {};
}

std::vector<int32_t> PagedKv::allotments(std::span<const int32_t> positions) const {
  const KvMethods& methods = pool_->methods;
  if (methods.allotter == nullptr) return std::vector<int32_t>(lanes_.size(), methods.budget_tokens);
  std::vector<KvLane> shown;
  for (size_t i = 0, at = 0; i < lanes_.size(); at += size_t(lanes_[i++].tokens)) {
    shown.push_back({.layer = int(i) / pool_->shape.kv_heads,
                     .head = int(i) % pool_->shape.kv_heads,
                     .positions = positions.subspan(at, size_t(lanes_[i].tokens)),
                     .attention = lanes_[i].seen});
  }
  std::vector<int32_t> allotted = methods.allotter->allot(shown, methods.budget_tokens);
  int64_t all = 0;
  for (size_t i = 0; i < lanes_.size(); ++i) all += std::min(allotted[i], lanes_[i].tokens);
  CHECK(allotted.size() == lanes_.size() && all <= int64_t(lanes_.size()) * methods.budget_tokens &&
            *std::min_element(allotted.begin(), allotted.end()) > 0,
        "an allotment of more KV than there is, or of none to a lane");
  return allotted;
}

KvPlan PagedKv::plan(size_t index, size_t keep, const FitRoom& room) {
  const Lane& lane = lanes_[index];
  const KvNeeds& needs = this->needs();
  const size_t key_dim = size_t(pool_->shape.key_dim), tokens = size_t(lane.tokens);
  KvLane shown{.layer = int(index) / pool_->shape.kv_heads,
               .head = int(index) % pool_->shape.kv_heads,
               .positions = room.positions,
               .attention = lane.seen};
  if (needs.keys) {
    for (size_t page = 0; page < lane.views.size(); ++page) {
      const size_t rows = lane.views[page].positions.size();
      codec().decode(lane.views[page].keys, room.keys.subspan(page * kPageTokens * key_dim, rows * key_dim));
    }
    shown.keys = room.keys.first(tokens * key_dim);
  }
  if (needs.surprise) {
    room.surprise.clear();
    for (int32_t position : room.positions)
      room.surprise.push_back(size_t(position) < surprise_.size() ? surprise_[size_t(position)] : 0);
    shown.surprise = room.surprise;
  }
  std::vector<float> weights;
  for (size_t page = 0; needs.merges && page < lane.views.size(); ++page) {
    const auto of_page = lane.views[page].weights;
    weights.insert(weights.end(), of_page.begin(), of_page.end());
  }
  shown.weights = weights;
  shown.memo = std::span(memo_).subspan(index * size_t(needs.memo), size_t(needs.memo));
  KvPlan plan = pool_->methods.policy->plan(shown, keep);
  CHECK(plan.fate.size() == tokens, "a KV plan for another lane");
  return plan;
}

void PagedKv::absorb(Lane& lane, const KvPlan& plan) {
  if (plan.into.empty()) return;
  CHECK(pool_->layout.weighted && plan.into.size() == plan.fate.size(),
        "a plan to merge that nobody announced");
  std::vector<int32_t> merged;
  for (int32_t i = 0; i < lane.tokens; ++i) {
    if (plan.fate[size_t(i)] == Fate::merge) merged.push_back(i);
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [&](int32_t a, int32_t b) { return plan.into[size_t(a)] < plan.into[size_t(b)]; });
  for (size_t first = 0; first < merged.size();) {
    const int32_t into = plan.into[size_t(merged[first])];
    CHECK(into >= 0 && into < lane.tokens && plan.fate[size_t(into)] == Fate::keep, "a merge into what goes");
    std::vector<int32_t> group{into};
    while (first < merged.size() && plan.into[size_t(merged[first])] == into)
      group.push_back(merged[first++]);
    mix(lane, group, plan);
  }
  gone_.merged += int64_t(merged.size());
}

// The first of a group becomes the mean of all.
void PagedKv::mix(Lane& lane, std::span<const int32_t> group, const KvPlan& plan) {
  const KvShape& shape = pool_->shape;
  std::vector<float> key(size_t(shape.key_dim)), value(size_t(shape.value_dim)), keys(key.size()),
      values(value.size());
  double count = 0, share = 0;
  for (int32_t token : group) {
    const double stands_for = std::exp(double(*weight_at(lane, token)));
    const double part = plan.share.empty() ? stands_for : double(plan.share[size_t(token)]);
    codec().decode({key_at(lane, token), size_t(pool_->layout.key_row)}, key);
    codec().decode({value_at(lane, token), size_t(pool_->layout.value_row)}, value);
    for (size_t i = 0; i < key.size(); ++i) keys[i] += float(part) * key[i];
    for (size_t i = 0; i < value.size(); ++i) values[i] += float(part) * value[i];
    count += stands_for;
    share += part;
  }
  CHECK(share > 0, "a mean of nothing");
  for (float& one : keys) one /= float(share);
  for (float& one : values) one /= float(share);
  const int32_t into = group.front();
  codec().encode(keys, {key_at(lane, into), size_t(pool_->layout.key_row)});
  codec().encode(values, {value_at(lane, into), size_t(pool_->layout.value_row)});
  if (plan.counted) *weight_at(lane, into) = float(std::log(count));
  for (size_t i = 1; !lane.seen.empty() && i < group.size(); ++i)
    lane.seen[size_t(into)] += lane.seen[size_t(group[i])];
}

void PagedKv::keep(Lane& lane, const KvPlan& plan) {
  const auto stays = [&](int64_t token) {
    const Fate fate = plan.fate[size_t(token)];
    CHECK(fate != Fate::spill, "a KV plan to spill, which nothing here does");
    return fate == Fate::keep;
  };
  int64_t first = 0;
  while (first < lane.tokens && stays(first)) ++first;
  int64_t to = first;
  for (int64_t from = first; from < lane.tokens; ++from) {
    if (plan.fate[size_t(from)] == Fate::drop) ++gone_.dropped;
    if (!stays(from)) continue;
    std::memcpy(key_at(lane, to), key_at(lane, from), size_t(pool_->layout.key_row));
    std::memcpy(value_at(lane, to), value_at(lane, from), size_t(pool_->layout.value_row));
    *position_at(lane, to) = *position_at(lane, from);
    if (pool_->layout.weighted) *weight_at(lane, to) = *weight_at(lane, from);
    if (!lane.seen.empty()) lane.seen[size_t(to)] = lane.seen[size_t(from)];
    ++to;
  }
  cut(lane, int32_t(to));
  refresh(lane, size_t(first / kPageTokens));
}

void PagedKv::cut(Lane& lane, int32_t tokens) {
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
    Lane& lane = lanes_[i];
    cut(lane, lane.tokens - (appended_[i / heads] - tokens));
    refresh(lane, size_t(lane.tokens / kPageTokens));
  }
  std::fill(appended_.begin(), appended_.end(), tokens);
  if (surprise_.size() > size_t(tokens)) surprise_.resize(size_t(tokens));
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
  spare_.clear();
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

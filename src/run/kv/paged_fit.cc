// What a cache does when it holds more than its budget: asks the allotter and the policy, merges, drops and
// moves what stays together.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "run/kv/paged_kv.h"

namespace varve {

bool PagedKv::over_budget() const {
  const int64_t budget = pool_->methods.budget_tokens;
  int64_t all = 0;
  for (const PagedLane& lane : lanes_) {
    if (pool_->methods.allotter == nullptr && lane.tokens > budget) return true;
    all += lane.tokens;
  }
  return all > budget * int64_t(lanes_.size());
}

Status PagedKv::fit() {
  if (pool_->methods.policy == nullptr) return {};
  if (over_budget()) TRY(drop_rest());
  if (needs().attention == KvNeeds::Attention::window) {
    for (PagedLane& lane : lanes_) std::fill(lane.seen.begin(), lane.seen.end(), 0.f);
  }
  return {};
}

Status PagedKv::drop_rest() {
  TRY(make_room(lanes_, {.compaction = true}));
  std::vector<int32_t> positions;
  int32_t longest = 0;
  for (const PagedLane& lane : lanes_) {
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
    PagedLane& lane = lanes_[i];
    room.positions = std::span(positions).subspan(at, size_t(lane.tokens));
    at += size_t(lane.tokens);
    if (lane.tokens <= allotted[i]) continue;
    const KvPlan fates = plan(i, size_t(allotted[i]), room);
    absorb(lane, fates);
    keep(lane, fates);
  }
  floor_ = tokens();
  if (selection_) selection_->forget(0);
  return {};
}

std::vector<int32_t> PagedKv::allotments(std::span<const int32_t> positions) const {
  const KvMethods& methods = pool_->methods;
  if (methods.allotter == nullptr) return std::vector<int32_t>(lanes_.size(), methods.budget_tokens);
  std::vector<KvLane> shown;
  std::vector<std::vector<float>> marks(methods.allotter->wants_marks() ? lanes_.size() : 0);
  for (size_t i = 0; i < marks.size(); ++i) marks[i] = this->marks(lanes_[i]);
  for (size_t i = 0, at = 0; i < lanes_.size(); at += size_t(lanes_[i++].tokens)) {
    shown.push_back({.layer = int(i) / pool_->shape.kv_heads,
                     .head = int(i) % pool_->shape.kv_heads,
                     .positions = positions.subspan(at, size_t(lanes_[i].tokens)),
                     .attention = lanes_[i].seen});
    if (!marks.empty()) shown.back().marks = marks[i];
  }
  std::vector<int32_t> allotted = methods.allotter->allot(shown, methods.budget_tokens);
  int64_t all = 0;
  for (size_t i = 0; i < lanes_.size(); ++i) all += std::min(allotted[i], lanes_[i].tokens);
  CHECK(allotted.size() == lanes_.size() && all <= int64_t(lanes_.size()) * methods.budget_tokens &&
            *std::min_element(allotted.begin(), allotted.end()) > 0,
        "an allotment of more KV than there is, or of none to a lane");
  return allotted;
}

std::vector<float> PagedKv::marks(const PagedLane& lane) const {
  std::vector<float> marks;
  for (int32_t i = 0; needs().hidden && i < lane.tokens; ++i) marks.push_back(*mark_at(lane, i));
  return marks;
}

KvPlan PagedKv::plan(size_t index, size_t keep, const FitRoom& room) {
  const PagedLane& lane = lanes_[index];
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
      room.surprise.push_back(size_t(position) < notes_.surprise.size() ? notes_.surprise[size_t(position)]
                                                                        : 0);
    shown.surprise = room.surprise;
  }
  std::vector<float> weights;
  for (size_t page = 0; needs.merges && page < lane.views.size(); ++page) {
    const auto of_page = lane.views[page].weights;
    weights.insert(weights.end(), of_page.begin(), of_page.end());
  }
  shown.weights = weights;
  const std::vector<float> marks = this->marks(lane);
  shown.marks = marks;
  shown.memo = std::span(memo_).subspan(index * size_t(needs.memo), size_t(needs.memo));
  KvPlan plan = pool_->methods.policy->plan(shown, keep);
  CHECK(plan.fate.size() == tokens, "a KV plan for another lane");
  return plan;
}

void PagedKv::absorb(PagedLane& lane, const KvPlan& plan) {
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
void PagedKv::mix(PagedLane& lane, std::span<const int32_t> group, const KvPlan& plan) {
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

void PagedKv::keep(PagedLane& lane, const KvPlan& plan) {
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
    if (pool_->layout.marked) *mark_at(lane, to) = *mark_at(lane, from);
    if (!lane.seen.empty()) lane.seen[size_t(to)] = lane.seen[size_t(from)];
    ++to;
  }
  cut(lane, int32_t(to));
  refresh(lane, size_t(first / kPageTokens));
}

}  // namespace varve

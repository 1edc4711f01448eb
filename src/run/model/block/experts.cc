// A mixture of experts (Shazeer et al. 2017): a router picks a few networks for each row. The choice is made
// on the host, row by row, and experts run in ascending order: a row's sum does not depend on its neighbours.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "run/model/block/feed_forward.h"
#include "run/model/block/project.h"
#include "run/model/stack_delta.h"

namespace varve {
namespace {

constexpr int32_t kForeseenRows = 4;

WeightStore::Likely place_of(const Affine& experts, int32_t expert) {
  if (experts.apart) return {experts.weight + WeightId(expert), 0};
  return {experts.weight, expert};
}

struct Choice {  // which rows an expert gets, and with which weight
  std::vector<int32_t> rows;
  std::vector<float> weights;
};

void softmax(std::span<float> values) {
  const float most = *std::max_element(values.begin(), values.end());
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - most);
  for (float& value : values) value /= sum;
}

// Weights of the chosen experts from a row's router logits, in the order of `chosen`.
class Router {
 public:
  Router(const ExpertSpec& spec, std::vector<float> bias)
      : spec_(spec), bias_(std::move(bias)), scores_(size_t(spec.count)), ranked_(size_t(spec.count)) {}

  std::span<float> logits() { return scores_; }
  // Reads logits(); the chosen experts by falling score, the lower index first among equals.
  std::span<const int32_t> choose() {
    if (spec_.gate == RouterGate::softmax) softmax(scores_);
    if (spec_.gate == RouterGate::sigmoid) {
      for (float& score : scores_) score = 1 / (1 + std::exp(-score));
    }
    auto rank = [&](int32_t i) {
      const float score = scores_[size_t(i)] + (bias_.empty() ? 0 : bias_[size_t(i)]);
      return std::isnan(score) ? -INFINITY
                               : score;  // sorting needs an order, even of a broken model's scores
    };
    auto before = [&](int32_t a, int32_t b) { return rank(a) != rank(b) ? rank(a) > rank(b) : a < b; };
    std::iota(ranked_.begin(), ranked_.end(), 0);
    std::partial_sort(ranked_.begin(), ranked_.begin() + spec_.used, ranked_.end(), before);
    return std::span<const int32_t>(ranked_).first(size_t(spec_.used));
  }
  std::vector<float> weights() const {
    std::vector<float> chosen(size_t(spec_.used));
    for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = scores_[size_t(ranked_[i])];
    if (spec_.gate == RouterGate::softmax_chosen) softmax(chosen);
    float sum = 0;
    for (float weight : chosen) sum += weight;
    const float scale = spec_.scale / (spec_.normalise ? std::max(sum, 6.103515625e-5f) : 1.0f);
    for (float& weight : chosen) weight *= scale;
    return chosen;
  }

 private:
  const ExpertSpec& spec_;
  std::vector<float> bias_;
  std::vector<float> scores_;
  std::vector<int32_t> ranked_;
};

Result<std::vector<float>> host_vector(const WeightStore& store, WeightId id) {
  if (id == kNoWeight) return std::vector<float>();
  const WeightPin pin = TRY(store.pin(id));
  std::vector<float> values(size_t((*pin).cols));
  (*pin).codec->decode((*pin).bytes, values);
  return values;
}

Result<std::vector<Choice>> route(Step& step, const DecoderParts& parts, const LayerWeights& weights,
                                  Rows rows) {
  const ExpertSpec& spec = parts.spec.experts;
  const int64_t mark = step.scratch.mark();
  Rows logits = step.scratch.take(rows.count(), spec.count);
  TRY(project(step, parts.store, Affine{weights.router.weight, kNoWeight}, rows, logits));
  Router router(spec, TRY(host_vector(parts.store, weights.router.bias)));
  std::vector<Choice> choices(size_t(spec.count));
  for (int32_t row = 0; row < rows.count(); ++row) {
    step.ops.store(logits.slice(row, 1), router.logits());
    const auto chosen = router.choose();
    const auto shares = router.weights();
    for (size_t i = 0; i < chosen.size(); ++i) {
      choices[size_t(chosen[i])].rows.push_back(row);
      choices[size_t(chosen[i])].weights.push_back(shares[i]);
    }
  }
  step.scratch.release(mark);
  return choices;
}

// Which experts the next layer will choose is nearly said by its router and these rows already: what a layer
// adds is little beside what goes through it (EdgeMoE, Yi et al. 2023; Pre-gated MoE, Hwang et al. 2024 train
// for it). Few rows: many would choose them all.
Status foresee(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows) {
  if (!parts.store.streams() || weights.next_router == kNoWeight || rows.count() > kForeseenRows) return {};
  const ExpertSpec& spec = parts.spec.experts;
  const int64_t mark = step.scratch.mark();
  Rows logits = step.scratch.take(rows.count(), spec.count);
  TRY(project(step, parts.store, Affine{weights.next_router, kNoWeight}, rows, logits));
  Router router(spec, {});
  std::vector<WeightStore::Likely> likely;
  for (int32_t row = 0; row < rows.count(); ++row) {
    step.ops.store(logits.slice(row, 1), router.logits());
    for (const int32_t expert : router.choose())
      for (const Affine& experts : weights.next_experts) likely.push_back(place_of(experts, expert));
  }
  step.scratch.release(mark);
  parts.store.expect(likely);
  return {};
}

struct Expert {
  int32_t number;
  std::span<const int32_t> rows;  // of the step, that it gets; ascending
};

const Delta* delta_of(const Adapter* adapter, const Affine& experts, int32_t expert) {
  if (adapter == nullptr) return nullptr;
  if (experts.apart) return adapter->on(place_of(experts, expert).id);
  const auto* deltas = dynamic_cast<const StackDelta*>(adapter->on(experts.weight));
  return deltas == nullptr ? nullptr : deltas->of(expert);
}

// y = x w^T by one expert's matrix, and what the adapters of its rows' sequences add.
Status pass(Step& step, const DecoderParts& parts, const Affine& experts, const Expert& expert, Rows x,
            Rows y) {
  const auto [weight, of_stack] = place_of(experts, expert.number);
  TRY(multiply(step.ops, parts.store, weight, of_stack, x, y));
  for (const Segment& segment : step.segments) {
    const Delta* delta = delta_of(segment.adapter, experts, expert.number);
    if (delta == nullptr) continue;
    const auto first = std::lower_bound(expert.rows.begin(), expert.rows.end(), segment.first);
    const auto end = std::lower_bound(first, expert.rows.end(), segment.first + segment.rows);
    if (first == end) continue;
    const int32_t at = int32_t(first - expert.rows.begin()), count = int32_t(end - first);
    delta->add(step.ops, step.scratch, x.slice(at, count), y.slice(at, count), 1);
  }
  return {};
}

// wide: the gate's values, then the others.
Status expert_in(Step& step, const DecoderParts& parts, const LayerWeights& weights, const Expert& expert,
                 Rows own, Rows wide) {
  const int32_t hidden = parts.spec.experts.hidden;
  const Affine& up = weights.expert_up;
  if (weights.expert_gate.empty()) return pass(step, parts, up, expert, own, wide);
  TRY(pass(step, parts, weights.expert_gate, expert, own, wide.columns(0, hidden)));
  return pass(step, parts, up, expert, own, wide.columns(hidden, hidden));
}

Status run_expert(Step& step, const DecoderParts& parts, const LayerWeights& weights, int32_t expert,
                  const Choice& choice, Rows rows, Rows sum) {
  const int32_t hidden = parts.spec.experts.hidden, count = int32_t(choice.rows.size());
  const int64_t mark = step.scratch.mark();
  Rows own = step.scratch.take(count, parts.spec.width);
  Rows wide = step.scratch.take(count, 2 * hidden);
  step.ops.gather_rows(rows, choice.rows, own);
  const Expert one{expert, choice.rows};
  TRY(expert_in(step, parts, weights, one, own, wide));
  step.ops.activate_times(parts.spec.activation, wide.columns(0, hidden), wide.columns(hidden, hidden));
  TRY(pass(step, parts, weights.expert_down, one, wide.columns(0, hidden), own));
  step.ops.scatter_add(own, choice.rows, choice.weights, sum);
  step.scratch.release(mark);
  return {};
}

// The expert that every row passes, weighted by a sigmoid of its own where the family has one.
Status run_shared(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows, Rows sum) {
  const int32_t hidden = parts.spec.experts.shared_hidden;
  const int64_t mark = step.scratch.mark();
  Rows wide = step.scratch.take(rows.count(), 2 * hidden);
  Rows own = step.scratch.take(rows.count(), parts.spec.width);
  TRY(project(step, parts.store, weights.shared_gate, rows, wide.columns(0, hidden)));
  TRY(project(step, parts.store, weights.shared_up, rows, wide.columns(hidden, hidden)));
  step.ops.activate_times(parts.spec.activation, wide.columns(0, hidden), wide.columns(hidden, hidden));
  TRY(project(step, parts.store, weights.shared_down, wide.columns(0, hidden), own));
  if (weights.shared_router.empty()) {
    step.ops.add(own, sum);
  } else {
    Rows logit = step.scratch.take(rows.count(), 1);
    TRY(project(step, parts.store, weights.shared_router, rows, logit));
    std::vector<float> shares(size_t(rows.count()));
    std::vector<int32_t> all(size_t(rows.count()));
    std::iota(all.begin(), all.end(), 0);
    step.ops.store(logit, shares);
    for (float& share : shares) share = 1 / (1 + std::exp(-share));
    step.ops.scatter_add(own, all, shares, sum);
  }
  step.scratch.release(mark);
  return {};
}

}  // namespace

Status experts_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows) {
  const int64_t mark = step.scratch.mark();
  const auto choices = TRY(route(step, parts, weights, rows));
  TRY(foresee(step, parts, weights, rows));
  Rows sum = step.scratch.take(rows.count(), parts.spec.width);
  step.ops.fill(sum, 0);
  for (int32_t expert = 0; expert < parts.spec.experts.count; ++expert) {
    const Choice& choice = choices[size_t(expert)];
    if (choice.rows.empty()) continue;
    TRY(run_expert(step, parts, weights, expert, choice, rows, sum));
  }
  if (parts.spec.experts.shared_hidden > 0) TRY(run_shared(step, parts, weights, rows, sum));
  step.ops.copy(sum, rows);
  step.scratch.release(mark);
  return {};
}

int64_t experts_scratch_bytes(const DecoderSpec& spec, int32_t rows) {
  const ExpertSpec& experts = spec.experts;
  const int64_t row = Scratch::bytes_for(rows, spec.width);
  const int64_t routing = Scratch::bytes_for(rows, experts.count);
  const int64_t one = row + Scratch::bytes_for(rows, 2 * experts.hidden);
  const int64_t shared =
      experts.shared_hidden == 0
          ? 0
          : row + Scratch::bytes_for(rows, 2 * experts.shared_hidden) + Scratch::bytes_for(rows, 1);
  return std::max(routing, row + std::max(one, shared));
}

}  // namespace varve

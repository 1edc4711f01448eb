// A feed-forward network of which most neurons are idle (the ReLU family): what comes before the activation
// is computed whole, and says exactly which of them fire; of the others nothing is read (LLM in a flash,
// Alizadeh et al. 2023). The bits are those of dense_forward(): a neuron at zero adds nothing to any sum.
#include <algorithm>

#include "run/model/block/feed_forward.h"
#include "run/model/block/project.h"
#include "run/weights/neurons.h"

namespace varve {
namespace {

class SparseForward {
 public:
  SparseForward(Step& step, const DecoderParts& parts, const LayerWeights& weights, const Neurons& neurons)
      : step_(step),
        parts_(parts),
        weights_(weights),
        neurons_(neurons),
        table_(neurons.table(weights.down.weight)),
        first_(parts.spec.gated ? weights.gate : weights.up) {}

  Status run(Rows rows);

 private:
  Status find_firing(Rows rows, Rows gate);
  std::vector<int32_t> firing(Rows gate, int32_t first) const;
  Status add_firing(Rows rows, Rows gate, std::span<const int32_t> fired, Rows sums);

  Step& step_;
  const DecoderParts& parts_;
  const LayerWeights& weights_;
  const Neurons& neurons_;
  const int32_t table_;
  const Affine& first_;
  std::vector<int32_t> fired_;  // for any of the rows; ascending
};

// Which of them fire, in the order of the rows' columns. What is no number fires.
std::vector<int32_t> SparseForward::firing(Rows gate, int32_t first) const {
  std::vector<float> values(size_t(gate.count()) * size_t(gate.width()));
  step_.ops.store(gate, values);
  std::vector<int32_t> fired;
  for (int32_t i = 0; i < gate.width(); ++i) {
    bool fires = false;
    for (int32_t row = 0; row < gate.count(); ++row)
      fires = fires || !(values[size_t(row) * size_t(gate.width()) + size_t(i)] <= 0);
    if (fires) fired.push_back(first + i);
  }
  return fired;
}

// Part by part: while the next is multiplied, the neurons of this one are read.
Status SparseForward::find_firing(Rows rows, Rows gate) {
  WeightPin bias;
  if (first_.bias != kNoWeight) bias = TRY(parts_.store.pin(first_.bias));
  for (int32_t first = 0; first < gate.width();) {
    const WeightPin part = TRY(parts_.store.pin_from(first_.weight, first));
    const Rows own = gate.columns(first, (*part).rows);
    step_.ops.matmul(rows, *part, own);
    if (Matrix some = *bias; !some.empty()) {
      some.bytes = some.bytes.subspan(size_t(some.codec->bytes_for(first)),
                                      size_t(some.codec->bytes_for((*part).rows)));
      some.cols = (*part).rows;
      step_.ops.add_bias(own, some);
    }
    const std::vector<int32_t> fired = firing(own, first);
    neurons_.expect(table_, fired);
    fired_.insert(fired_.end(), fired.begin(), fired.end());
    first += (*part).rows;
  }
  return {};
}

Status SparseForward::add_firing(Rows rows, Rows gate, std::span<const int32_t> fired, Rows sums) {
  const DecoderSpec& spec = parts_.spec;
  const auto taken = TRY(neurons_.take(table_, fired));
  const auto entries = parts_.store.entries();
  const Codec* down = entries[weights_.down.weight].codec;
  const auto down_bytes = size_t(down->bytes_for(spec.width));
  const Codec* up = spec.gated ? entries[weights_.up.weight].codec : nullptr;
  const auto up_bytes = up == nullptr ? size_t(0) : size_t(up->bytes_for(spec.width));
  const int64_t first_bytes = neurons_.first_bytes(table_);
  std::vector<Matrix> ups, downs;
  for (const std::byte* at : taken.at) {
    at += first_bytes;
    if (up != nullptr) ups.push_back({up, {at, up_bytes}, 1, spec.width});
    downs.push_back({down, {at + up_bytes, down_bytes}, 1, spec.width});
  }
  const auto count = int32_t(fired.size());
  const int64_t mark = step_.scratch.mark();
  Rows own = step_.scratch.take(rows.count(), 2 * count);
  Rows values = own.columns(0, count), others = own.columns(count, count);
  step_.ops.gather_columns(gate, fired, values);
  if (spec.gated) {
    step_.ops.matmul_rows(rows, ups, others);
    step_.ops.activate_times(spec.activation, values, others);
  } else if (spec.squared) {
    step_.ops.activate_times(spec.activation, values, values);
  } else {
    step_.ops.activate(spec.activation, values);
  }
  step_.ops.add_columns(values, downs, fired, sums);
  step_.scratch.release(mark);
  return {};
}

Status SparseForward::run(Rows rows) {
  const DecoderSpec& spec = parts_.spec;
  Rows gate = step_.scratch.take(rows.count(), spec.hidden);
  Rows sums = step_.scratch.take(Ops::kColumnSums * rows.count(), spec.width);
  neurons_.pass(table_);
  TRY(find_firing(rows, gate));
  step_.ops.fill(sums, 0);
  const std::span<const int32_t> all(fired_);
  const auto most = size_t(neurons_.most());
  for (size_t from = 0; from < all.size(); from += most)
    TRY(add_firing(rows, gate, all.subspan(from, std::min(most, all.size() - from)), sums));
  step_.ops.finish_columns(sums, rows);
  if (weights_.down.bias == kNoWeight) return {};
  const WeightPin bias = TRY(parts_.store.pin(weights_.down.bias));
  step_.ops.add_bias(rows, *bias);
  return {};
}

bool is_plain(const Affine& affine) {
  return affine.more.empty() && affine.narrow == kNoWeight;
}

}  // namespace

bool has_neurons(const DecoderParts& parts, const LayerWeights& weights) {
  const DecoderSpec& spec = parts.spec;
  const Neurons* neurons = parts.store.neurons();
  return neurons != nullptr && spec.activation == Activation::relu && !spec.fused_gate &&
         weights.down.weight != kNoWeight && neurons->table(weights.down.weight) >= 0 &&
         is_plain(weights.up) && is_plain(weights.down) && is_plain(weights.gate) &&
         (!spec.gated || weights.up.bias == kNoWeight);
}

// An adapter moves what the weights say; its rows pass them whole.
bool reads_neurons(const Step& step, const DecoderParts& parts, const LayerWeights& weights) {
  if (step.ops.reading() || step.x.count() > kSparseRows || !has_neurons(parts, weights)) return false;
  return std::none_of(step.segments.begin(), step.segments.end(), [&](const Segment& segment) {
    const Adapter* adapter = segment.adapter;
    return adapter != nullptr && ((weights.gate.weight != kNoWeight && adapter->on(weights.gate.weight)) ||
                                  adapter->on(weights.up.weight) || adapter->on(weights.down.weight));
  });
}

Status sparse_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows) {
  const int64_t mark = step.scratch.mark();
  Status status = SparseForward(step, parts, weights, *parts.store.neurons()).run(rows);
  step.scratch.release(mark);
  return status;
}

int64_t sparse_scratch_bytes(const DecoderParts& parts, int32_t rows) {
  if (parts.store.neurons() == nullptr) return 0;
  rows = std::min(rows, kSparseRows);
  return Scratch::bytes_for(rows, parts.spec.hidden) +
         Scratch::bytes_for(Ops::kColumnSums * rows, parts.spec.width) +
         Scratch::bytes_for(rows, 2 * parts.store.neurons()->most());
}

}  // namespace varve

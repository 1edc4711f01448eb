// A feed-forward network of which a sequence computes the neurons that were chosen for it, and no others
// (run/model/choose). Where they lie whole beside the model, nothing else is read; else rows of the gate and
// of ffn_up are multiplied where they are, and ffn_down meets zeros: the same bits.
#include <algorithm>

#include "run/model/block/feed_forward.h"
#include "run/model/block/project.h"
#include "run/model/choose/chooser.h"

namespace varve {
namespace {

bool is_plain(const Affine& affine, const WeightStore& store) {
  return affine.more.empty() && affine.narrow == kNoWeight &&
         (affine.weight == kNoWeight || !store.entries()[affine.weight].codec->coded());
}

class ChosenForward {
 public:
  ChosenForward(Step& step, const DecoderParts& parts, const LayerWeights& weights)
      : step_(step),
        parts_(parts),
        spec_(parts.spec),
        weights_(weights),
        neurons_(parts.store.neurons()),
        table_(neurons_ == nullptr ? -1 : neurons_->table(weights.down.weight)),
        first_(spec_.gated ? weights.gate : weights.up) {}

  Status run(Rows rows, NeuronChoice& choice, int32_t layer);

 private:
  Result<std::vector<int32_t>> choose(Rows rows, NeuronChoice& choice, int32_t layer);
  Status from_weights(Rows rows, std::span<const int32_t> chosen);
  Status from_file(Rows rows, std::span<const int32_t> chosen);
  Status add_from_file(Rows rows, std::span<const int32_t> chosen, Rows sums);
  Status multiply_rows(const Affine& affine, Rows x, std::span<const int32_t> chosen, Rows out);
  Status add_bias(const Affine& affine, std::span<const int32_t> chosen, Rows out);
  void activate(Rows values, Rows others);

  Step& step_;
  const DecoderParts& parts_;
  const DecoderSpec& spec_;
  const LayerWeights& weights_;
  const Neurons* neurons_;
  const int32_t table_;
  const Affine& first_;
};

Result<std::vector<int32_t>> ChosenForward::choose(Rows rows, NeuronChoice& choice, int32_t layer) {
  WeightPin bias;
  if (first_.bias != kNoWeight) bias = TRY(parts_.store.pin(first_.bias));
  Choosing at{step_.ops, step_.scratch, layer, rows, std::nullopt, *bias};
  if (table_ >= 0) at.sketch = neurons_->sketch(table_);
  return choice.choose(at);
}

void ChosenForward::activate(Rows values, Rows others) {
  if (spec_.gated) {
    step_.ops.activate_times(spec_.activation, values, others);
  } else if (spec_.squared) {
    step_.ops.activate_times(spec_.activation, values, values);
  } else {
    step_.ops.activate(spec_.activation, values);
  }
}

Status ChosenForward::multiply_rows(const Affine& affine, Rows x, std::span<const int32_t> chosen, Rows out) {
  const int32_t all = parts_.store.entries()[affine.weight].rows;
  size_t next = 0;
  for (int32_t first = 0; first < all;) {
    const WeightPin pin = TRY(parts_.store.pin_from(affine.weight, first));
    const Matrix& part = *pin;
    const auto bytes = size_t(part.codec->bytes_for(part.cols));
    std::vector<Matrix> rows;
    const size_t from = next;
    for (; next < chosen.size() && chosen[next] < first + part.rows; ++next)
      rows.push_back(
          {part.codec, part.bytes.subspan(size_t(chosen[next] - first) * bytes, bytes), 1, part.cols});
    if (!rows.empty()) step_.ops.matmul_rows(x, rows, out.columns(int32_t(from), int32_t(rows.size())));
    first += part.rows;
  }
  return add_bias(affine, chosen, out);
}

Status ChosenForward::add_bias(const Affine& affine, std::span<const int32_t> chosen, Rows out) {
  if (affine.bias == kNoWeight) return {};
  constexpr int32_t kOnly[] = {0};
  const WeightPin bias = TRY(parts_.store.pin(affine.bias));
  const int64_t mark = step_.scratch.mark();
  Rows all = step_.scratch.take(1, (*bias).cols), own = step_.scratch.take(1, out.width());
  step_.ops.gather(*bias, kOnly, all);
  step_.ops.gather_columns(all, chosen, own);
  for (int32_t row = 0; row < out.count(); ++row) step_.ops.add(own, out.slice(row, 1));
  step_.scratch.release(mark);
  return {};
}

Status ChosenForward::from_weights(Rows rows, std::span<const int32_t> chosen) {
  const auto count = int32_t(chosen.size());
  Rows own = step_.scratch.take(rows.count(), 2 * count);
  Rows values = own.columns(0, count), others = own.columns(count, count);
  TRY(multiply_rows(first_, rows, chosen, values));
  if (spec_.gated) TRY(multiply_rows(weights_.up, rows, chosen, others));
  activate(values, others);
  Rows wide = step_.scratch.take(rows.count(), spec_.hidden);
  step_.ops.fill(wide, 0);
  step_.ops.add_to_columns(values, chosen, wide);
  return project(step_, parts_.store, weights_.down, wide, rows);
}

Status ChosenForward::from_file(Rows rows, std::span<const int32_t> chosen) {
  neurons_->pass(table_);
  neurons_->expect(table_, chosen);
  Rows sums = step_.scratch.take(Ops::kColumnSums * rows.count(), spec_.width);
  step_.ops.fill(sums, 0);
  const auto most = size_t(neurons_->most());
  for (size_t from = 0; from < chosen.size(); from += most)
    TRY(add_from_file(rows, chosen.subspan(from, std::min(most, chosen.size() - from)), sums));
  step_.ops.finish_columns(sums, rows);
  if (weights_.down.bias == kNoWeight) return {};
  const WeightPin bias = TRY(parts_.store.pin(weights_.down.bias));
  step_.ops.add_bias(rows, *bias);
  return {};
}

Status ChosenForward::add_from_file(Rows rows, std::span<const int32_t> chosen, Rows sums) {
  const auto taken = TRY(neurons_->take(table_, chosen));
  const auto entries = parts_.store.entries();
  const Codec* down = entries[weights_.down.weight].codec;
  const Codec* first = entries[first_.weight].codec;
  const Codec* up = spec_.gated ? entries[weights_.up.weight].codec : nullptr;
  const auto row_bytes = [&](const Codec* codec) {
    return codec == nullptr ? size_t(0) : size_t(codec->bytes_for(spec_.width));
  };
  std::vector<Matrix> firsts, ups, downs;
  for (const std::byte* at : taken.at) {
    firsts.push_back({first, {at, row_bytes(first)}, 1, spec_.width});
    at += row_bytes(first);
    if (up != nullptr) ups.push_back({up, {at, row_bytes(up)}, 1, spec_.width});
    downs.push_back({down, {at + row_bytes(up), row_bytes(down)}, 1, spec_.width});
  }
  const auto count = int32_t(chosen.size());
  const int64_t mark = step_.scratch.mark();
  Rows own = step_.scratch.take(rows.count(), 2 * count);
  Rows values = own.columns(0, count), others = own.columns(count, count);
  step_.ops.matmul_rows(rows, firsts, values);
  TRY(add_bias(first_, chosen, values));
  if (up != nullptr) step_.ops.matmul_rows(rows, ups, others);
  if (up != nullptr) TRY(add_bias(weights_.up, chosen, others));
  activate(values, others);
  step_.ops.add_columns(values, downs, chosen, sums);
  step_.scratch.release(mark);
  return {};
}

// The next layer's are read ahead where they are known.
Status ChosenForward::run(Rows rows, NeuronChoice& choice, int32_t layer) {
  const std::vector<int32_t> chosen = TRY(choose(rows, choice, layer));
  if (chosen.empty())
    return dense_forward(step_, parts_, weights_, rows,
                         [&](Rows values) { choice.see(step_.ops, layer, values); });
  if (!lies_whole(parts_, weights_)) return from_weights(rows, chosen);
  TRY(from_file(rows, chosen));
  if (layer + 1 < int32_t(spec_.layers.size())) neurons_->expect(table_ + 1, choice.known(layer + 1));
  return {};
}

bool is_adapted(const Segment& segment, const LayerWeights& weights) {
  const Adapter* adapter = segment.adapter;
  return adapter != nullptr && ((weights.gate.weight != kNoWeight && adapter->on(weights.gate.weight)) ||
                                adapter->on(weights.up.weight) || adapter->on(weights.down.weight));
}

}  // namespace

bool can_choose(const DecoderParts& parts, const LayerWeights& weights) {
  const WeightStore& store = parts.store;
  return weights.down.weight != kNoWeight && weights.router.weight == kNoWeight && !parts.spec.fused_gate &&
         is_plain(weights.up, store) && is_plain(weights.down, store) && is_plain(weights.gate, store);
}

bool lies_whole(const DecoderParts& parts, const LayerWeights& weights) {
  const Neurons* neurons = parts.store.neurons();
  return neurons != nullptr && neurons->whole() && weights.down.weight != kNoWeight &&
         neurons->table(weights.down.weight) >= 0 && can_choose(parts, weights);
}

bool chooses(const Step& step) {
  return std::any_of(step.segments.begin(), step.segments.end(),
                     [](const Segment& segment) { return segment.neurons != nullptr; });
}

// An adapter moves what the weights say, and many rows together pass most neurons: they pass all.
Status chosen_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, int32_t layer,
                      Rows rows) {
  if (step.ops.reading()) {
    return dense_forward(step, parts, weights, rows, [&](Rows values) {
      for (const Segment& one : step.segments)
        if (one.neurons != nullptr) one.neurons->see(step.ops, layer, values.slice(one.first, one.rows));
    });
  }
  for (const Segment& one : step.segments) {
    Segment own = one;
    own.first = 0;
    Rows of_it = rows.slice(one.first, one.rows);
    Step part{
        step.x.slice(one.first, one.rows),
        step.positions.empty() ? step.positions : step.positions.subspan(size_t(one.first), size_t(one.rows)),
        {&own, 1},
        step.ops,
        step.scratch};
    const int64_t mark = step.scratch.mark();
    const bool all = one.neurons == nullptr || one.rows > kSparseRows || is_adapted(one, weights);
    Status status = all ? dense_forward(part, parts, weights, of_it)
                        : ChosenForward(part, parts, weights).run(of_it, *one.neurons, layer);
    step.scratch.release(mark);
    TRY(std::move(status));
  }
  return {};
}

int64_t chosen_scratch_bytes(const DecoderParts& parts, int32_t rows) {
  rows = std::min(rows, kSparseRows);
  const DecoderSpec& spec = parts.spec;
  return Scratch::bytes_for(rows, 4 * spec.hidden) + 2 * Scratch::bytes_for(1, spec.hidden) +
         Scratch::bytes_for(Ops::kColumnSums * rows, spec.width);
}

}  // namespace varve

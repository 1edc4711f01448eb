#include "run/model/block/decoder_block.h"

#include <algorithm>

#include "run/model/block/feed_forward.h"
#include "run/model/block/project.h"

namespace varve {

DecoderBlock::DecoderBlock(const DecoderParts& parts, int32_t layer, LayerWeights weights)
    : parts_(parts), layer_(layer), weights_(weights), ids_(weights.all()) {}

// As written: of a network that is read by neuron, only what says which of them fire; not even that where
// somebody else does.
std::vector<WeightId> DecoderBlock::weights_of_few() const {
  std::vector<WeightId> few = ids_;
  const bool whole = lies_whole(parts_, weights_);
  if (!parts_.spec.layers[size_t(layer_)].experts && (whole || has_neurons(parts_, weights_))) {
    std::erase(few, weights_.down.weight);
    if (parts_.spec.gated) std::erase(few, weights_.up.weight);
    if (whole) std::erase(few, parts_.spec.gated ? weights_.gate.weight : weights_.up.weight);
  }
  return few;
}

Status DecoderBlock::enter(Step& step, const Affine& norm, Rows in, Rows out) const {
  if (parts_.spec.norm_before) return normalise(step, parts_.store, parts_.spec, norm, in, out);
  step.ops.copy(in, out);
  return {};
}

Status DecoderBlock::leave(Step& step, const Affine& norm, Rows rows) const {
  if (parts_.spec.norm_after) TRY(normalise(step, parts_.store, parts_.spec, norm, rows, rows));
  if (parts_.spec.residual_scale != 1) step.ops.scale(rows, parts_.spec.residual_scale);
  return {};
}

Status DecoderBlock::feed_forward(Step& step, Rows rows) const {
  if (parts_.spec.layers[size_t(layer_)].experts) return experts_forward(step, parts_, weights_, rows);
  if (chooses(step)) return chosen_forward(step, parts_, weights_, layer_, rows);
  if (reads_neurons(step, parts_, weights_)) return sparse_forward(step, parts_, weights_, rows);
  return dense_forward(step, parts_, weights_, rows);
}

Status DecoderBlock::forward(Step& step) const {
  const DecoderSpec& spec = parts_.spec;
  const int64_t mark = step.scratch.mark();
  Rows added = step.scratch.take(step.x.count(), spec.width);
  TRY(enter(step, weights_.attention_norm, step.x, added));
  TRY(attention(step, added));
  TRY(leave(step, weights_.attention_post_norm, added));
  Rows second = added;
  if (spec.parallel) {
    second = step.scratch.take(step.x.count(), spec.width);
  } else {
    step.ops.add(added, step.x);
  }
  if (spec.norm_sums) TRY(normalise(step, parts_.store, spec, weights_.attention_post_norm, step.x, step.x));
  TRY(enter(step, spec.one_norm ? weights_.attention_norm : weights_.ffn_norm, step.x, second));
  TRY(feed_forward(step, second));
  TRY(leave(step, weights_.ffn_post_norm, second));
  if (spec.parallel) step.ops.add(added, step.x);
  step.ops.add(second, step.x);
  if (spec.norm_sums) TRY(normalise(step, parts_.store, spec, weights_.ffn_post_norm, step.x, step.x));
  step.scratch.release(mark);
  return {};
}

int64_t DecoderBlock::scratch_bytes(int32_t rows) const {
  const DecoderSpec& spec = parts_.spec;
  const int64_t row = Scratch::bytes_for(rows, spec.width);
  const int64_t attention =
      Scratch::bytes_for(rows, spec.query_width() + spec.key_width() + spec.value_width()) +
      Scratch::bytes_for(rows, spec.output_width());
  const int64_t network = spec.layers[size_t(layer_)].experts
                              ? experts_scratch_bytes(spec, rows)
                              : std::max({dense_scratch_bytes(spec, rows), sparse_scratch_bytes(parts_, rows),
                                          chosen_scratch_bytes(parts_, rows)});
  return row + std::max(attention, (spec.parallel ? row : 0) + network) +
         (weights_.rank > 0 ? Scratch::bytes_for(rows, weights_.rank) : 0);
}

}  // namespace varve

#include "run/model/block/feed_forward.h"

#include "run/model/block/project.h"

namespace varve {
namespace {

int32_t dense_width(const DecoderSpec& spec) {
  return spec.gated ? 2 * spec.hidden : spec.hidden;
}

}  // namespace

Status dense_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows,
                     const Seen& seen) {
  const DecoderSpec& spec = parts.spec;
  const int64_t mark = step.scratch.mark();
  Rows wide = step.scratch.take(rows.count(), dense_width(spec));
  Rows gate = wide.columns(0, spec.hidden);  // first in a fused weight too
  if (!spec.gated) {
    TRY(project(step, parts.store, weights.up, rows, gate));
    if (spec.squared) {
      step.ops.activate_times(spec.activation, gate, gate);  // relu(x) x = relu(x)^2
    } else {
      step.ops.activate(spec.activation, gate);
    }
  } else {
    Rows up = wide.columns(spec.hidden, spec.hidden);
    if (spec.fused_gate) {
      TRY(project(step, parts.store, weights.up, rows, wide));
    } else {
      TRY(project(step, parts.store, weights.gate, rows, gate));
      TRY(project(step, parts.store, weights.up, rows, up));
    }
    step.ops.activate_times(spec.activation, gate, up);
  }
  if (seen) seen(gate);
  TRY(project(step, parts.store, weights.down, gate, rows));
  step.scratch.release(mark);
  return {};
}

int64_t dense_scratch_bytes(const DecoderSpec& spec, int32_t rows) {
  return Scratch::bytes_for(rows, dense_width(spec));
}

}  // namespace varve

#include "run/model/block/project.h"

namespace varve {
namespace {

Result<WeightPin> pin_if(const WeightStore& store, WeightId id) {
  return id == kNoWeight ? WeightPin() : store.pin(id);
}

}  // namespace

Status project(Step& step, const WeightStore& store, const Affine& affine, Rows x, Rows y) {
  const WeightPin weight = TRY(store.pin(affine.weight)), bias = TRY(pin_if(store, affine.bias));
  step.ops.matmul(x, *weight, y);
  for (const Segment& segment : step.segments) {
    const Delta* delta = segment.adapter == nullptr ? nullptr : segment.adapter->on(affine.weight);
    if (delta == nullptr) continue;
    delta->add(step.ops, step.scratch, x.slice(segment.first, segment.rows),
               y.slice(segment.first, segment.rows), 1);
  }
  if (!(*bias).empty()) step.ops.add_bias(y, *bias);
  return {};
}

Status normalise(Step& step, const WeightStore& store, const DecoderSpec& spec, const Affine& norm, Rows x,
                 Rows out, int32_t group) {
  const WeightPin weight = TRY(pin_if(store, norm.weight)), bias = TRY(pin_if(store, norm.bias));
  if (spec.norm == NormKind::layer && group == 0) {
    step.ops.layer_norm(x, *weight, *bias, spec.epsilon, out);
    return {};
  }
  step.ops.rms_norm(x, *weight, spec.epsilon, out, group);
  if (!(*bias).empty()) step.ops.add_bias(out, *bias);
  return {};
}

}  // namespace varve

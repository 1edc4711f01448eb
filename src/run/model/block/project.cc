#include "run/model/block/project.h"

namespace varve {
namespace {

Result<WeightPin> pin_if(const WeightStore& store, WeightId id) {
  return id == kNoWeight ? WeightPin() : store.pin(id);
}

Status add_parts(Step& step, const WeightStore& store, const Affine& affine, Rows x, Rows y) {
  for (const WeightId block : affine.more) TRY(multiply(step.ops, store, block, 0, x, y, true));
  if (affine.narrow == kNoWeight) return {};
  const int64_t mark = step.scratch.mark();
  Rows few = step.scratch.take(x.count(), store.entries()[affine.narrow].rows);
  TRY(multiply(step.ops, store, affine.narrow, 0, x, few));
  TRY(multiply(step.ops, store, affine.wide, 0, few, y, true));
  step.scratch.release(mark);
  return {};
}

}  // namespace

Status multiply(Ops& ops, const WeightStore& store, WeightId weight, int32_t of_stack, Rows x, Rows y,
                bool add) {
  for (int32_t first = 0; first < y.width();) {
    const WeightPin part = TRY(store.pin_from(weight, first, of_stack));
    if ((*part).rows == 0) break;
    ops.matmul(x, *part, y.columns(first, (*part).rows), add);
    first += (*part).rows;
  }
  return {};
}

Status look_up(Ops& ops, const WeightStore& store, WeightId table, std::span<const int32_t> rows, Rows out) {
  if (!store.streams()) {
    const WeightPin whole = TRY(store.pin(table));
    ops.gather(*whole, rows, out);
    return {};
  }
  constexpr int32_t kFirst[] = {0};
  for (size_t i = 0; i < rows.size(); ++i) {
    const WeightPin row = TRY(store.pin_rows(table, rows[i], 1));
    ops.gather(*row, kFirst, out.slice(int32_t(i), 1));
  }
  return {};
}

Status project(Step& step, const WeightStore& store, const Affine& affine, Rows x, Rows y) {
  const WeightPin bias = TRY(pin_if(store, affine.bias));
  TRY(multiply(step.ops, store, affine.weight, 0, x, y));
  TRY(add_parts(step, store, affine, x, y));
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

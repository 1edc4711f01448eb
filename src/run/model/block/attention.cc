// The attention of a DecoderBlock: project, rotate, append to each sequence's KV, attend over all at once.
#include <cmath>

#include "run/model/block/decoder_block.h"
#include "run/model/block/project.h"

namespace varve {

Status DecoderBlock::attention(Step& step, Rows rows) const {
  const DecoderSpec& spec = parts_.spec;
  const int64_t mark = step.scratch.mark();
  const int32_t query = spec.query_width(), key = spec.key_width(), value = spec.value_width();
  Rows qkv = step.scratch.take(rows.count(), query + key + value);
  Rows out = step.scratch.take(rows.count(), spec.output_width());
  TRY(project_qkv(step, rows, qkv));
  if (spec.qkv_clamp > 0) step.ops.clamp(qkv, -spec.qkv_clamp, spec.qkv_clamp);
  Rows queries = qkv.columns(0, query), keys = qkv.columns(query, key);
  TRY(prepare_heads(step, weights_.query_norm, queries, spec.heads));
  TRY(prepare_heads(step, weights_.key_norm, keys, spec.kv_heads));
  if (spec.temperature_scale > 0) warm(step, queries);
  TRY(attend(step, rows, qkv, out));
  TRY(project(step, parts_.store, weights_.attention_out, out, rows));
  step.scratch.release(mark);
  return {};
}

Status DecoderBlock::project_qkv(Step& step, Rows rows, Rows qkv) const {
  const DecoderSpec& spec = parts_.spec;
  if (!weights_.qkv.empty()) return project(step, parts_.store, weights_.qkv, rows, qkv);
  const int32_t query = spec.query_width(), key = spec.key_width();
  TRY(project(step, parts_.store, weights_.query, rows, qkv.columns(0, query)));
  TRY(project(step, parts_.store, weights_.key, rows, qkv.columns(query, key)));
  return project(step, parts_.store, weights_.value, rows, qkv.columns(query + key, spec.value_width()));
}

Status DecoderBlock::norm_heads(Step& step, const Affine& norm, Rows rows, int32_t heads) const {
  const DecoderSpec& spec = parts_.spec;
  if (spec.qk_norm != QkNorm::each) {
    const int32_t group = spec.qk_norm == QkNorm::head ? spec.key_dim : 0;
    return normalise(step, parts_.store, spec, norm, rows, rows, group);
  }
  const WeightPin weights = TRY(parts_.store.pin(norm.weight));
  const size_t bytes = (*weights).bytes.size() / size_t(heads);
  for (int32_t head = 0; head < heads; ++head) {
    Rows own = rows.columns(head * spec.key_dim, spec.key_dim);
    const Matrix weight{(*weights).codec, (*weights).bytes.subspan(size_t(head) * bytes, bytes), 1,
                        spec.key_dim};
    step.ops.layer_norm(own, weight, {}, spec.epsilon, own);
  }
  return {};
}

Status DecoderBlock::prepare_heads(Step& step, const Affine& norm, Rows rows, int32_t heads) const {
  const DecoderSpec& spec = parts_.spec;
  const LayerSpec& layer = spec.layers[size_t(layer_)];
  if (!norm.empty() && !spec.qk_norm_after_rope) TRY(norm_heads(step, norm, rows, heads));
  if (layer.rope && spec.rope.kind != RopeKind::none) {
    step.ops.rope(rows, heads, layer.local ? parts_.rope_local : parts_.rope, step.positions);
  }
  if (!norm.empty() && spec.qk_norm_after_rope) TRY(norm_heads(step, norm, rows, heads));
  return {};
}

// Runs of rows share a factor, and most share the factor 1.
void DecoderBlock::warm(Step& step, Rows queries) const {
  const DecoderSpec& spec = parts_.spec;
  for (int32_t first = 0; first < queries.count();) {
    const int32_t octave = step.positions[size_t(first)] / spec.temperature_floor;
    int32_t end = first + 1;
    while (end < queries.count() && step.positions[size_t(end)] / spec.temperature_floor == octave) ++end;
    const float factor = 1 + spec.temperature_scale * std::log(1 + float(octave));
    if (octave > 0) step.ops.scale(queries.slice(first, end - first), factor);
    first = end;
  }
}

Status DecoderBlock::attend(Step& step, Rows hidden, Rows qkv, Rows out) const {
  const DecoderSpec& spec = parts_.spec;
  const int32_t query = spec.query_width(), key = spec.key_width();
  const Rows queries = qkv.columns(0, query), keys = qkv.columns(query, key),
             values = qkv.columns(query + key, spec.value_width());
  AttendSpec how{.heads = spec.heads,
                 .kv_heads = spec.kv_heads,
                 .key_dim = spec.key_dim,
                 .value_dim = spec.value_dim,
                 .scale = spec.attention_scale,
                 .soft_cap = spec.attention_soft_cap,
                 .window = spec.layers[size_t(layer_)].window,
                 .causal = spec.causal,
                 .alibi = spec.alibi};
  const int32_t kv_layer = parts_.one_kv_layer ? 0 : layer_;
  std::vector<AttendSegment> segments;
  segments.reserve(step.segments.size());
  for (const Segment& segment : step.segments) {
    const auto positions = step.positions.subspan(size_t(segment.first), size_t(segment.rows));
    if (segment.kv->needs().hidden) segment.kv->notes().hidden = hidden.slice(segment.first, segment.rows);
    TRY(segment.kv->append(step.ops, kv_layer, keys.slice(segment.first, segment.rows),
                           values.slice(segment.first, segment.rows), positions));
    how.codec = &segment.kv->codec();  // one pool, one codec
    segments.push_back(
        {segment.first, segment.rows, positions,
         TRY(segment.kv->reads(step.ops, kv_layer, queries.slice(segment.first, segment.rows), how)),
         segment.kv->scores(kv_layer, positions)});
  }
  step.ops.attend(how, queries, segments, out);
  return {};
}

}  // namespace varve

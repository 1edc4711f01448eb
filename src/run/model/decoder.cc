#include "run/model/decoder.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "run/model/block/feed_forward.h"
#include "run/model/block/project.h"

namespace varve {
namespace {

RopeSpec rope_of(const RopeTable& table, std::span<const float> factors) {
  return {.kind = table.kind,
          .dim = table.dim,
          .base = table.base,
          .scale = table.scale,
          .attention_factor = table.attention_factor,
          .factors = factors,
          .yarn_extension = table.yarn_extension,
          .yarn_beta_fast = table.yarn_beta_fast,
          .yarn_beta_slow = table.yarn_beta_slow,
          .original_context = table.original_context};
}

Result<std::vector<float>> read_factors(const WeightStore& store, const RopeTable& table) {
  if (table.factors.empty()) return std::vector<float>();
  const WeightId id = store.find(table.factors);
  if (id == kNoWeight) return Status(Code::invalid, "the file has no " + table.factors + ".weight");
  const WeightPin pin = TRY(store.pin(id));
  if ((*pin).rows != 1 || (*pin).cols != table.dim / 2) {
    return Status(Code::invalid, table.factors + " holds " + std::to_string((*pin).cols) +
                                     " factors; its model wants " + std::to_string(table.dim / 2));
  }
  std::vector<float> factors(size_t((*pin).cols));
  (*pin).codec->decode((*pin).bytes, factors);
  for (float factor : factors) {
    if (!(factor > 0) || std::isinf(factor)) {
      return Status(Code::invalid, table.factors + " holds a factor that is not positive");
    }
  }
  return factors;
}

// The rows of the outputs lie in the same order of sequences, but fewer.
std::vector<Segment> output_segments(const Batch& batch) {
  std::vector<Segment> segments;
  for (const Segment& segment : batch.segments) {
    const auto begin = std::lower_bound(batch.outputs.begin(), batch.outputs.end(), segment.first);
    const auto end = std::lower_bound(begin, batch.outputs.end(), segment.first + segment.rows);
    if (begin == end) continue;
    segments.push_back({.first = int32_t(begin - batch.outputs.begin()),
                        .rows = int32_t(end - begin),
                        .kv = segment.kv,
                        .adapter = segment.adapter});
  }
  return segments;
}

std::string describe(const RopeTable& rope) {
  if (rope.kind == RopeKind::none) return "none";
  char text[256];
  std::snprintf(text, sizeof(text), "%s dim=%d base=%.9g scale=%.9g",
                rope.kind == RopeKind::halves ? "halves" : "adjacent", rope.dim, double(rope.base),
                double(rope.scale));
  std::string all = text;
  if (rope.attention_factor != 1 || rope.yarn_extension != 1 || !rope.factors.empty()) {
    std::snprintf(text, sizeof(text), " factor=%.9g yarn=%.9g,%.9g,%.9g,%d factors=%s",
                  double(rope.attention_factor), double(rope.yarn_extension), double(rope.yarn_beta_fast),
                  double(rope.yarn_beta_slow), rope.original_context, rope.factors.c_str());
    all += text;
  }
  return all;
}

std::string positions_of(const DecoderSpec& spec) {
  std::string all = describe(spec.rope);
  const bool local = std::any_of(spec.layers.begin(), spec.layers.end(), [](auto& one) { return one.local; });
  return local ? all + "; local " + describe(spec.rope_local) : all;
}

}  // namespace

ModelShape shape_of(const DecoderSpec& spec) {
  return {.family = spec.family,
          .layers = int32_t(spec.layers.size()),
          .width = spec.width,
          .heads = spec.heads,
          .vocabulary = spec.vocabulary,
          .context = spec.context,
          .readout = spec.readout,
          .kv = {.layers = int32_t(spec.layers.size()),
                 .kv_heads = spec.kv_heads,
                 .key_dim = spec.key_dim,
                 .value_dim = spec.value_dim},
          .positions = positions_of(spec)};
}

Decoder::Decoder(DecoderSpec spec, std::unique_ptr<WeightStore> store, ModelIdentity identity, bool to_embed)
    : spec_(std::move(spec)),
      store_(std::move(store)),
      identity_(std::move(identity)),
      to_embed_(to_embed),
      shape_(shape_of(spec_)) {
  if (to_embed_) shape_.kv.layers = 1;
}

Result<std::shared_ptr<const Model>> Decoder::make(DecoderSpec spec, std::unique_ptr<WeightStore> store,
                                                   ModelIdentity identity, bool to_embed) {
  std::shared_ptr<Decoder> decoder(
      new Decoder(std::move(spec), std::move(store), std::move(identity), to_embed));
  TRY(decoder->bind());
  return std::shared_ptr<const Model>(std::move(decoder));
}

Status Decoder::bind() {
  weights_ = TRY(find_weights(spec_, *store_));
  rope_factors_ = TRY(read_factors(*store_, spec_.rope));
  rope_ = rope_of(spec_.rope, rope_factors_);
  rope_local_ = rope_of(spec_.rope_local, {});
  const DecoderParts parts{spec_, *store_, rope_, rope_local_, to_embed_};
  for (size_t i = 0; i < spec_.layers.size(); ++i)
    blocks_.emplace_back(parts, int32_t(i), weights_.layers[i]);
  for (const DecoderBlock& block : blocks_) {
    pass_.insert(pass_.end(), block.weights().begin(), block.weights().end());
    const std::vector<WeightId> few = block.weights_of_few();
    pass_of_few_.insert(pass_of_few_.end(), few.begin(), few.end());
  }
  const bool choose = std::all_of(weights_.layers.begin(), weights_.layers.end(),
                                  [&](const LayerWeights& one) { return can_choose(parts, one); });
  shape_.neurons = choose ? spec_.hidden : 0;
  pass_.push_back(weights_.output.weight);
  pass_of_few_.push_back(weights_.output.weight);
  store_->hint(pass_of_few_);
  return {};
}

const ChatTemplate* Decoder::chat_template() const {
  return identity_.chat_template ? &*identity_.chat_template : nullptr;
}

std::optional<RopeSpec> Decoder::rope(int32_t layer) const {
  const bool rotated_last = !(spec_.qk_norm_after_rope && !weights_.layers[size_t(layer)].key_norm.empty());
  if (spec_.learned_positions || !spec_.causal || !rotated_last) return std::nullopt;
  const LayerSpec& one = spec_.layers[size_t(layer)];
  if (!one.rope) return RopeSpec{.kind = RopeKind::none};
  return one.local ? rope_local_ : rope_;
}

int64_t Decoder::scratch_bytes(int32_t rows, int32_t outputs) const {
  const int64_t row = Scratch::bytes_for(rows, spec_.width);
  int64_t most = spec_.learned_positions || spec_.token_types > 0 ? row : 0;
  for (const DecoderBlock& block : blocks_) most = std::max(most, block.scratch_bytes(rows));
  return row + Scratch::bytes_for(outputs, spec_.width) + most;
}

// Tokens and positions come from outside; how a batch is put together is the engine's own doing.
Status Decoder::check(const Batch& batch, const Rows& out, int32_t width) const {
  const size_t rows = batch.tokens.size();
  CHECK(batch.positions.size() == rows, "a position for each token");
  CHECK(out.count() == int32_t(batch.outputs.size()) && out.width() == width, "a row for each output");
  int32_t covered = 0;
  for (const Segment& segment : batch.segments) {
    CHECK(segment.first == covered && segment.rows > 0 && segment.kv != nullptr, "segments in order, no gap");
    covered += segment.rows;
  }
  CHECK(size_t(covered) == rows, "segments cover all rows");
  CHECK(batch.layer >= 0 && batch.layer <= shape_.layers, "a layer that there is");
  for (size_t i = 0; i < batch.outputs.size(); ++i) {
    const bool ascends = i == 0 || batch.outputs[i] > batch.outputs[i - 1];
    CHECK(ascends && batch.outputs[i] >= 0 && batch.outputs[i] < covered, "outputs are ascending rows");
  }
  for (size_t i = 0; i < rows; ++i) {
    if (batch.tokens[i] < 0 || batch.tokens[i] >= spec_.vocabulary) {
      return Status(Code::invalid, "token " + std::to_string(batch.tokens[i]) +
                                       " is outside of the vocabulary of " +
                                       std::to_string(spec_.vocabulary));
    }
    const bool beyond = spec_.learned_positions && batch.positions[i] >= spec_.context;
    if (batch.positions[i] < 0 || beyond) {
      return Status(Code::invalid, "position " + std::to_string(batch.positions[i]) +
                                       " is outside of the context of " + std::to_string(spec_.context));
    }
  }
  return {};
}

Status Decoder::embed(const Batch& batch, Step& step) const {
  TRY(look_up(step.ops, *store_, weights_.token_embedding, batch.tokens, step.x));
  if (spec_.embedding_scale != 1) step.ops.scale(step.x, spec_.embedding_scale);
  if (spec_.learned_positions) TRY(add_rows(weights_.position_embedding, batch.positions, step));
  if (spec_.token_types > 0) {
    const std::vector<int32_t> first(batch.tokens.size());
    TRY(add_rows(weights_.token_types, first, step));
  }
  if (!spec_.embedding_norm) return {};
  return normalise(step, *store_, spec_, weights_.embedding_norm, step.x, step.x);
}

Status Decoder::add_rows(WeightId table, std::span<const int32_t> rows, Step& step) const {
  const int64_t mark = step.scratch.mark();
  Rows found = step.scratch.take(step.x.count(), spec_.width);
  TRY(look_up(step.ops, *store_, table, rows, found));
  step.ops.add(found, step.x);
  step.scratch.release(mark);
  return {};
}

Status Decoder::run(const Batch& batch, Step& step, Rows out) const {
  if (pass_of_few_ != pass_)
    store_->hint(step.ops.reading() || step.x.count() > kSparseRows ? pass_ : pass_of_few_);
  TRY(embed(batch, step));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    TRY(blocks_[i].forward(step));
    for (const Segment& segment : batch.segments) {  // where layers share their KV, the next one begins anew
      if (to_embed_) TRY(segment.kv->truncate(batch.positions[size_t(segment.first)]));
    }
    if (int32_t(i) + 1 != batch.layer) continue;
    if (batch.outputs.empty()) return {};
    step.ops.gather_rows(step.x, batch.outputs, out);
  }
  if (batch.outputs.empty() || batch.layer > 0) return {};  // of an earlier chunk only its KV is wanted
  step.ops.gather_rows(step.x, batch.outputs, out);
  if (spec_.norm_sums) return {};
  return normalise(step, *store_, spec_, weights_.output_norm, out, out);
}

Status Decoder::head(std::span<const Segment> segments, Ops& ops, Scratch& scratch, Rows hidden,
                     Rows logits) const {
  if (hidden.count() == 0) return {};
  Step step{.x = hidden, .positions = {}, .segments = segments, .ops = ops, .scratch = scratch};
  TRY(project(step, *store_, weights_.output, hidden, logits));
  if (spec_.logit_scale != 1) ops.scale(logits, spec_.logit_scale);
  if (spec_.logit_soft_cap > 0) ops.soft_cap(logits, spec_.logit_soft_cap);
  return {};
}

Status Decoder::forward(const Batch& batch, Ops& ops, Scratch& scratch, Rows logits) const {
  TRY(check(batch, logits, spec_.vocabulary));
  const int64_t mark = scratch.mark();
  Rows x = scratch.take(int32_t(batch.tokens.size()), spec_.width);
  Rows out = scratch.take(int32_t(batch.outputs.size()), spec_.width);
  Step step{x, batch.positions, batch.segments, ops, scratch};
  Status status = run(batch, step, out);
  if (status.ok()) status = head(output_segments(batch), ops, scratch, out, logits);
  scratch.release(mark);
  return status;
}

Status Decoder::hidden(const Batch& batch, Ops& ops, Scratch& scratch, Rows hidden) const {
  TRY(check(batch, hidden, spec_.width));
  const int64_t mark = scratch.mark();
  Rows x = scratch.take(int32_t(batch.tokens.size()), spec_.width);
  Step step{x, batch.positions, batch.segments, ops, scratch};
  Status status = run(batch, step, hidden);
  scratch.release(mark);
  return status;
}

}  // namespace varve

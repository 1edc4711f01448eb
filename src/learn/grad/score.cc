#include "learn/grad/score.h"

#include <algorithm>

#include "learn/grad/kv_gate.h"
#include "learn/grad/op.h"

namespace varve {
namespace {

RopeSpec rope_of(const RopeTable& table) {  // without factors: check_trainable() refuses them
  return {.kind = table.kind,
          .dim = table.dim,
          .base = table.base,
          .scale = table.scale,
          .attention_factor = table.attention_factor,
          .yarn_extension = table.yarn_extension,
          .yarn_beta_fast = table.yarn_beta_fast,
          .yarn_beta_slow = table.yarn_beta_slow,
          .original_context = table.original_context};
}

struct Builder {
  const DecoderSpec& spec;
  int32_t number;  // of the layer
  std::string at;  // "blk.3."
  LeafSource& source;
  std::vector<std::unique_ptr<Op>>& ops;

  Status norm(const std::string& role, Slot in, Slot out) {
    ops.push_back(make_op(NormOp{in, out, TRY(source.vector(at + role, spec.width)), spec.epsilon}));
    return {};
  }
  struct Map {
    const char* role;
    Slot in, out;
    int32_t rows, cols;
    Slot residual = Slot::count;
    bool first_back = true;
  };
  Status linear(const Map& map) {
    LinearOp op{.in = map.in, .out = map.out, .residual = map.residual, .first_back = map.first_back};
    op.leaf = TRY(source.leaf(at + map.role, map.rows, map.cols));
    for (const char* beside : {".weight.more.1", ".weight.lora_a"}) {
      if (source.has(at + map.role + beside))
        return Status(Code::unsupported, "a compressed model with " + at + map.role + beside +
                                             " cannot learn: begin with what it was made from");
    }
    if (source.has(at + map.role + ".bias")) op.bias = TRY(source.vector(at + map.role + ".bias", map.rows));
    ops.push_back(make_op(std::move(op)));
    return {};
  }
  Status heads(const char* role, Slot in, Slot out, const LayerSpec& layer) {
    HeadsOp op{.in = in, .out = out, .dim = spec.key_dim, .epsilon = spec.epsilon, .local = layer.local};
    op.heads = out == Slot::q ? spec.heads : spec.kv_heads;
    if (layer.rope) op.rope = rope_of(layer.local ? spec.rope_local : spec.rope);
    if (in != out) op.norm = TRY(source.vector(at + role, spec.key_dim));
    ops.push_back(make_op(std::move(op)));
    return {};
  }

  Status attention(const LayerSpec& layer) {
    const bool normed = spec.qk_norm == QkNorm::head;
    const Slot q = normed ? Slot::q0 : Slot::q, k = normed ? Slot::k0 : Slot::k;
    KvGates* gates = source.kv_gates();
    TRY(norm(spec.attention_norm, Slot::x, Slot::h));
    if (gates != nullptr)
      TRY(linear({"kv_gate", Slot::h, Slot::keep, spec.kv_heads, spec.width, Slot::count, false}));
    TRY(linear({"attn_q", Slot::h, q, spec.query_width(), spec.width, Slot::count, false}));
    TRY(linear({"attn_k", Slot::h, k, spec.key_width(), spec.width, Slot::count, false}));
    TRY(linear({"attn_v", Slot::h, Slot::v, spec.value_width(), spec.width}));
    TRY(heads("attn_q_norm", q, Slot::q, layer));
    TRY(heads("attn_k_norm", k, Slot::k, layer));
    AttendOp op{{.heads = spec.heads,
                 .kv_heads = spec.kv_heads,
                 .key_dim = spec.key_dim,
                 .value_dim = spec.value_dim,
                 .scale = spec.attention_scale,
                 .window = layer.window}};
    if (gates != nullptr) op.gate.emplace(*gates, number);
    ops.push_back(make_op(std::move(op)));
    return linear({"attn_output", Slot::o, Slot::mid, spec.width, spec.output_width(), Slot::x});
  }
  Status network() {
    TRY(norm(spec.ffn_norm, Slot::mid, Slot::h2));
    TRY(linear({"ffn_gate", Slot::h2, Slot::gate, spec.hidden, spec.width, Slot::count, false}));
    TRY(linear({"ffn_up", Slot::h2, Slot::up, spec.hidden, spec.width}));
    ops.push_back(make_op(GateOp{spec.activation}));
    return linear({"ffn_down", Slot::act, Slot::y, spec.width, spec.hidden, Slot::mid});
  }
  Result<std::unique_ptr<Leaf>> matrix(const std::string& role, int32_t rows, int32_t cols) {
    return source.leaf(at + role, rows, cols);
  }
  Status mixture() {
    for (const char* made : {"ffn_up_exps", "ffn_up.0"}) {
      if (source.has(at + made))
        return Status(Code::unsupported, "a mixture of experts learns from nothing only (varve pretrain): " +
                                             at + made + " cannot learn");
    }
    const int32_t width = spec.width, hidden = spec.experts.hidden;
    ExpertsOp op{.in = Slot::h2, .out = Slot::y, .residual = Slot::mid, .kind = spec.activation};
    op.used = spec.experts.used;
    TRY(norm(spec.ffn_norm, Slot::mid, Slot::h2));
    op.router = TRY(matrix("ffn_gate_inp", spec.experts.count, width));
    if (source.has(at + "exp_probs_b.bias"))
      op.balance = TRY(source.vector(at + "exp_probs_b.bias", spec.experts.count));
    for (int32_t i = 0; i < spec.experts.count; ++i) {
      const std::string expert = "." + std::to_string(i);
      ExpertsOp::One& one = op.experts.emplace_back();
      one.gate = TRY(matrix("ffn_gate" + expert, hidden, width));
      one.up = TRY(matrix("ffn_up" + expert, hidden, width));
      one.down = TRY(matrix("ffn_down" + expert, width, hidden));
    }
    ops.push_back(make_op(std::move(op)));
    return {};
  }
};

std::array<int32_t, kSlots> widths_of(const DecoderSpec& spec, bool gated) {
  std::array<int32_t, kSlots> widths{};
  auto set = [&](std::initializer_list<Slot> slots, int32_t width) {
    for (Slot slot : slots) widths[size_t(slot)] = width;
  };
  set({Slot::x, Slot::h, Slot::mid, Slot::h2, Slot::y}, spec.width);
  if (gated) set({Slot::keep}, spec.kv_heads);
  set({Slot::q}, spec.query_width());
  set({Slot::k}, spec.key_width());
  set({Slot::v}, spec.value_width());
  if (spec.qk_norm == QkNorm::head) set({Slot::q0}, spec.query_width()), set({Slot::k0}, spec.key_width());
  set({Slot::o}, spec.output_width());
  set({Slot::sums}, spec.heads);
  if (spec.experts.count == 0) set({Slot::gate, Slot::up, Slot::act}, spec.hidden);
  return widths;
}

// Every layer a mixture whose chosen weights sum to one, without an expert that all rows pass.
bool is_plain(const DecoderSpec& spec) {
  const ExpertSpec& experts = spec.experts;
  return experts.gate == RouterGate::softmax && experts.normalise && experts.scale == 1 &&
         experts.shared_hidden == 0 &&
         std::all_of(spec.layers.begin(), spec.layers.end(), [](auto& layer) { return layer.experts; });
}

}  // namespace

std::string_view to_string(Slot slot) {
  constexpr std::string_view kNames[] = {"x", "h",    "keep", "q0", "k0",   "q",  "k",   "v",
                                         "o", "sums", "mid",  "h2", "gate", "up", "act", "y"};
  return kNames[size_t(slot)];
}

Status check_trainable(const DecoderSpec& spec) {
  const std::pair<bool, const char*> missing[] = {
      {spec.norm != NormKind::rms || !spec.norm_weights, "its kind of norm"},
      {!spec.norm_before || spec.norm_after || spec.parallel, "its order of norms"},
      {spec.qk_norm != QkNorm::none && (spec.qk_norm != QkNorm::head || spec.qk_norm_after_rope),
       "its norm of queries and keys"},
      {spec.qkv_clamp > 0 || spec.attention_soft_cap > 0 || spec.logit_soft_cap > 0, "its caps"},
      {spec.temperature_scale > 0 || spec.learned_positions, "its positions"},
      {!spec.rope.factors.empty() || !spec.rope_local.factors.empty(), "its rotation's factors"},
      {spec.experts.count > 0 && !is_plain(spec), "its kind of experts"},
      {!spec.gated || spec.fused_gate || spec.squared, "its network's gate"},
      {spec.residual_scale != 1, "its scaled residuals"},
      {spec.key_dim > kMaxTrainHeadDim || spec.value_dim > kMaxTrainHeadDim, "heads as wide as these"}};
  for (const auto& [wrong, what] : missing) {
    if (wrong)
      return Status(Code::unsupported, "a model of family " + spec.family + " cannot learn yet: " + what);
  }
  return {};
}

Result<Score> Score::make(const DecoderSpec& spec, int32_t layer, LeafSource& source) {
  TRY(check_trainable(spec));
  Score score;
  score.widths_ = widths_of(spec, source.kv_gates() != nullptr);
  Builder builder{spec, layer, "blk." + std::to_string(layer) + ".", source, score.ops_};
  if (source.has(builder.at + "attn_qkv")) {
    return Status(Code::unsupported,
                  "a model of family " + spec.family + " cannot learn yet: fused projections");
  }
  TRY(builder.attention(spec.layers[size_t(layer)]));
  TRY(spec.experts.count > 0 ? builder.mixture() : builder.network());
  return score;
}

Status Score::forward(Frame& frame) const {
  for (const auto& op : ops_) TRY(op->forward(frame));
  return {};
}

Frame Frame::from(int32_t row) const {
  Frame rest = *this;
  auto cut = [&](Rows& rows) {
    if (rows.count() > 0) rows = rows.slice(row, rows.count() - row);
  };
  for (Rows& rows : rest.value) cut(rows);
  cut(rest.angles), cut(rest.angles_local);
  return rest;
}

Status Score::restore(Frame& frame, const std::array<int32_t, kSlots>& there) const {
  for (size_t i = 0; i + 1 < ops_.size(); ++i) {
    int32_t first = INT32_MAX, all = 0;
    for (Slot slot : ops_[i]->writes()) {
      first = std::min(first, there[size_t(slot)]);
      all = frame[slot].count();
    }
    if (first >= all) continue;
    Frame rest = frame.from(ops_[i]->row_by_row() ? first : 0);
    TRY(ops_[i]->forward(rest));
  }
  return {};
}

Status Score::backward(Frame& frame, Sink& sink) const {
  for (size_t i = ops_.size(); i-- > 0;) TRY(ops_[i]->backward(frame, sink));
  return {};
}

bool Score::derived(Slot slot) const {
  const bool normed = width(Slot::q0) > 0;
  return slot == Slot::h || slot == Slot::keep || slot == Slot::h2 || slot == Slot::act ||
         (normed && (slot == Slot::q || slot == Slot::k));
}

int64_t Score::scratch_bytes(int32_t rows) const {
  int64_t most = 0;
  for (const auto& op : ops_) most = std::max(most, op->scratch_bytes(rows));
  return most;
}

// h and h2 share one slope, the stream's slots another; those of gate and up lie where their values were.
bool Score::has_slope(Slot slot) const {
  return slot == Slot::h || slot == Slot::keep || slot == Slot::q0 || slot == Slot::k0 || slot == Slot::q ||
         slot == Slot::k || slot == Slot::v || slot == Slot::o || slot == Slot::act;
}

int64_t Score::frame_bytes(int32_t rows, bool backward) const {
  int64_t bytes = 0;
  for (size_t i = 0; i < kSlots; ++i) {
    const Slot slot = Slot(i);
    if (slot == Slot::x || slot == Slot::y) continue;
    bytes += Scratch::bytes_for(rows, widths_[i]) * (backward && has_slope(slot) ? 2 : 1);
  }
  return bytes;
}

Frame Score::frame(Flow flow, int32_t rows, bool backward) const {
  Frame frame{.flow = flow};
  for (size_t i = 0; i < kSlots; ++i) {
    const Slot slot = Slot(i);
    if (slot == Slot::x || slot == Slot::y) continue;
    frame.value[i] = flow.scratch.take(rows, widths_[i]);
    if (backward && has_slope(slot)) frame.slope[i] = flow.scratch.take(rows, widths_[i]);
  }
  frame.d(Slot::h2) = frame.d(Slot::h);
  frame.d(Slot::gate) = frame[Slot::gate];
  frame.d(Slot::up) = frame[Slot::up];
  return frame;
}

}  // namespace varve

// What all families read alike.
#include <cmath>

#include "run/model/arch/family.h"

namespace varve::arch {
namespace {

constexpr int32_t kMost = (int64_t(1) << 31) - 1;
constexpr int32_t kMostLayers = 1024, kMostWidth = 1 << 18, kMostHeads = 4096, kMostExperts = 4096;
constexpr int32_t kMostHeadValues = 512;  // as Ops::attend

Status sizes(const HyperParameters& from, DecoderSpec& spec) {
  spec.width = TRY(from.count("embedding_length", 1, kMostWidth));
  spec.layers.resize(size_t(TRY(from.count("block_count", 1, kMostLayers))));
  spec.context = TRY(from.count("context_length", 1, kMost));
  spec.hidden = TRY(from.count_all_layers("feed_forward_length", 0, 0, kMostWidth));
  const GgufTensor* table = from.gguf().tensor("token_embd.weight");
  if (table == nullptr || table->shape.size() != 2) {
    return Status(Code::invalid, "the file has no matrix token_embd.weight");
  }
  if (table->shape[1] > kMost) return Status(Code::invalid, "the vocabulary is too large");
  spec.vocabulary = int32_t(table->shape[1]);
  return {};
}

Status heads(const HyperParameters& from, DecoderSpec& spec) {
  const std::string at = from.prefix() + ".attention.";
  spec.heads = TRY(from.count_all_layers("attention.head_count", 0, 1, kMostHeads));
  spec.kv_heads = TRY(from.count_all_layers("attention.head_count_kv", spec.heads, 1, kMostHeads));
  if (spec.heads % spec.kv_heads != 0) {
    return Status(Code::invalid, at + "head_count " + std::to_string(spec.heads) + " is no multiple of " +
                                     at + "head_count_kv " + std::to_string(spec.kv_heads));
  }
  if (!from.has("attention.key_length") && spec.width % spec.heads != 0) {
    return Status(Code::invalid, "the width " + std::to_string(spec.width) + " is no multiple of the " +
                                     std::to_string(spec.heads) + " heads");
  }
  const int32_t each = spec.width / spec.heads;
  spec.key_dim = TRY(from.count_or("attention.key_length", each, 1, kMostHeadValues));
  spec.value_dim = TRY(from.count_or("attention.value_length", each, 1, kMostHeadValues));
  spec.attention_scale = TRY(from.number_or("attention.scale", 0, 0, 1e6));
  if (spec.attention_scale == 0) spec.attention_scale = 1 / std::sqrt(float(spec.key_dim));
  return {};
}

Status norms(const HyperParameters& from, DecoderSpec& spec) {
  const char* key =
      spec.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
  spec.epsilon = TRY(from.number(key, 0, 1));
  return {};
}

Status yarn(const HyperParameters& from, float factor, RopeTable& rope) {
  rope.yarn_extension = factor;
  rope.yarn_beta_fast = TRY(from.number_or("rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6));
  rope.yarn_beta_slow = TRY(from.number_or("rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6));
  rope.attention_factor *= 1 + 0.1f * std::log(factor);
  return {};
}

Status longrope(const HyperParameters& from, const DecoderSpec& spec, RopeTable& rope) {
  // The file holds factors for short and for long contexts; one set must serve a whole sequence, because
  // cached keys are already rotated.
  const char* role = spec.context > rope.original_context ? "rope_factors_long" : "rope_factors_short";
  if (!from.has_tensor(role))
    return Status(Code::invalid, std::string("the file has no ") + role + ".weight");
  rope.factors = role;
  return {};
}

Status ropes(const HyperParameters& from, DecoderSpec& spec) {
  RopeTable& rope = spec.rope;
  if (rope.kind == RopeKind::none) return {};
  rope.dim = TRY(from.count_or("rope.dimension_count", spec.key_dim, 2, kMostHeadValues));
  if (rope.dim % 2 != 0 || rope.dim > spec.key_dim) {
    return Status(Code::invalid, from.prefix() + ".rope.dimension_count is " + std::to_string(rope.dim) +
                                     ": it must be even and at most the " + std::to_string(spec.key_dim) +
                                     " values of a head");
  }
  rope.base = TRY(from.number_or("rope.freq_base", 10000, 1.01, 1e12));
  rope.original_context = TRY(from.count_or("rope.scaling.original_context_length", spec.context, 1, kMost));
  rope.attention_factor = TRY(from.number_or("rope.scaling.attn_factor", 1, 1e-3, 1e3));
  float factor = TRY(from.number_or("rope.scale_linear", 1, 0, 1e6));
  factor = TRY(from.number_or("rope.scaling.factor", factor, 0, 1e6));
  if (factor == 0) factor = 1;  // "not set" in old files
  const std::string kind = TRY(from.text_or("rope.scaling.type", "linear"));
  if (kind == "yarn" && factor > 1) return yarn(from, factor, rope);
  if (kind == "longrope" || from.has_tensor("rope_factors_long")) return longrope(from, spec, rope);
  if (kind == "linear") rope.scale = 1 / factor;
  if (kind != "linear" && kind != "none" && kind != "yarn") {
    return Status(Code::unsupported,
                  "rope scaling '" + kind.substr(0, 64) + "'; there are linear, longrope, none, yarn");
  }
  if (from.has_tensor("rope_freqs")) rope.factors = "rope_freqs";
  return {};
}

Status experts(const HyperParameters& from, DecoderSpec& spec) {
  ExpertSpec& experts = spec.experts;
  experts.count = TRY(from.count_or("expert_count", 0, 0, kMostExperts));
  if (experts.count == 0) return {};
  experts.used = TRY(from.count("expert_used_count", 1, experts.count));
  experts.hidden = TRY(from.count_or("expert_feed_forward_length", 0, 0, kMostWidth));
  if (experts.hidden == 0) experts.hidden = spec.hidden;
  experts.scale = TRY(scale_or(from, "expert_weights_scale", 1));
  experts.normalise = TRY(from.flag_or("expert_weights_norm", experts.normalise));
  for (LayerSpec& layer : spec.layers) layer.experts = true;
  return {};
}

constexpr std::pair<std::string_view, Activation> kActivationNames[] = {
    {"silu", Activation::silu},
    {"relu", Activation::relu},
    {"gelu", Activation::gelu_erf},
    {"gelu_pytorch_tanh", Activation::gelu_tanh}};

}  // namespace

Result<Activation> activation_named(std::string_view name) {
  for (const auto& [own, kind] : kActivationNames)
    if (name == own) return kind;
  return Status(Code::unsupported,
                "'" + std::string(name.substr(0, 64)) + "'; there are gelu, gelu_pytorch_tanh, relu, silu");
}

std::string_view name_of(Activation kind) {
  for (const auto& [name, own] : kActivationNames)
    if (kind == own) return name;
  CHECK(false, "an activation without a name");
}

Result<DecoderSpec> common(const HyperParameters& from, DecoderSpec spec) {
  TRY(sizes(from, spec));
  TRY(heads(from, spec));
  TRY(norms(from, spec));
  TRY(ropes(from, spec));
  TRY(experts(from, spec));
  return spec;
}

Result<float> scale_or(const HyperParameters& from, std::string_view key, float absent) {
  const float scale = TRY(from.number_or(key, absent, 0, 1e6));
  return scale == 0 ? absent : scale;
}

Result<Activation> activation_or(const HyperParameters& from, Activation absent) {
  const std::string name = TRY(from.text_or("hidden_activation", ""));
  if (name.empty()) return absent;
  auto named = activation_named(name);
  if (named.ok()) return named;
  return Status(named.code(),
                from.prefix() + ".hidden_activation " + std::string(std::move(named).status().message()));
}

Status leading_dense(const HyperParameters& from, DecoderSpec& spec) {
  const int32_t dense = TRY(from.count_or("leading_dense_block_count", 0, 0, kMostLayers));
  for (size_t i = 0; i < spec.layers.size() && int32_t(i) < dense; ++i) spec.layers[i].experts = false;
  return {};
}

Status shared_experts(const HyperParameters& from, DecoderSpec& spec) {
  if (spec.experts.count == 0) return {};
  const int32_t shared = TRY(from.count_or("expert_shared_count", 0, 0, 256));
  const int64_t together = int64_t(shared) * spec.experts.hidden;
  if (together > kMostWidth)
    return Status(Code::invalid, from.prefix() + ".expert_shared_count is too large");
  const int32_t own = TRY(from.count_or("expert_shared_feed_forward_length", 0, 0, kMostWidth));
  spec.experts.shared_hidden = own > 0 ? own : int32_t(together);
  return {};
}

Status router_gate(const HyperParameters& from, DecoderSpec& spec) {
  constexpr RouterGate kGates[] = {RouterGate::softmax, RouterGate::sigmoid, RouterGate::softmax_chosen};
  const int32_t gate = TRY(from.count_or("expert_gating_func", 0, 0, 3));
  if (gate > 0) spec.experts.gate = kGates[gate - 1];
  return {};
}

Status windows(const HyperParameters& from, int32_t period, int32_t absent_window, DecoderSpec& spec) {
  const int32_t window = TRY(from.count_or("attention.sliding_window", absent_window, 0, kMost));
  if (window == 0) return {};
  constexpr const char* kPattern = "attention.sliding_window_pattern";
  const auto listed = TRY(from.per_layer(kPattern));
  if (!listed.empty() && listed.size() < spec.layers.size()) {
    return Status(Code::invalid, from.prefix() + "." + kPattern + " names fewer layers than there are");
  }
  if (listed.empty()) period = TRY(from.count_or(kPattern, period, 0, kMostLayers));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const bool windowed = listed.empty() ? period == 0 || int32_t(i) % period < period - 1 : listed[i] != 0;
    spec.layers[i].window = windowed ? window : 0;
  }
  return {};
}

}  // namespace varve::arch

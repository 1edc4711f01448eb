// DecoderSpec: everything in which the families of decoder-only transformers differ. A family fills it from
// metadata (arch/<family>.cc); Decoder and DecoderBlock run it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "run/model/model.h"

namespace varve {

// Metadata values only; factors are read from tensors when the model opens.
struct RopeTable {
  RopeKind kind = RopeKind::none;
  int32_t dim = 0;                // leading values of a head that rotate
  float base = 10000, scale = 1;  // linear scaling multiplies positions by `scale`
  float attention_factor = 1;     // YaRN and longrope: multiplies cos and sin
  float yarn_extension = 1;       // > 1: YaRN, and `scale` stays 1
  float yarn_beta_fast = 32, yarn_beta_slow = 1;
  int32_t original_context = 0;
  std::string factors;  // role of a tensor with dim / 2 divisors of the frequencies; empty: none
};

enum class NormKind : uint8_t { rms, layer };
// Over each head with shared weights, over all heads at once, or over each head with weights of its own.
enum class QkNorm : uint8_t { none, head, whole, each };
enum class RouterGate : uint8_t { softmax, softmax_chosen, sigmoid };  // softmax over all, or the chosen ones

struct LayerSpec {
  int32_t window = 0;  // 0: attends to everything before
  bool rope = true;
  bool local = false;    // rotates by rope_local
  bool experts = false;  // a mixture instead of one feed-forward network
};

struct ExpertSpec {
  int32_t count = 0, used = 0, hidden = 0;
  RouterGate gate = RouterGate::softmax;
  bool normalise = false;     // the weights of the chosen sum to one
  float scale = 1;            // of the weights, afterwards
  int32_t shared_hidden = 0;  // > 0: an expert that every row passes
};

struct DecoderSpec {
  std::string family;
  int32_t width = 0, hidden = 0, heads = 0, kv_heads = 0, key_dim = 0, value_dim = 0;
  int32_t vocabulary = 0, context = 0;
  std::vector<LayerSpec> layers;

  NormKind norm = NormKind::rms;
  float epsilon = 1e-5f;
  bool norm_weights = true;                  // false: a norm without learned weights (OLMo)
  bool norm_before = true;                   // of attention and of the feed-forward network
  bool norm_after = false;                   // of what each of them adds
  bool parallel = false;                     // attention and feed-forward read the same rows and add together
  bool one_norm = false;                     // parallel: the feed-forward network reads the attention's norm
  std::string attention_norm = "attn_norm";  // role of the norm before attention
  std::string ffn_norm = "ffn_norm";         // role of the norm before the feed-forward network

  QkNorm qk_norm = QkNorm::none;
  bool qk_norm_after_rope = false;
  float qkv_clamp = 0;        // > 0: queries, keys and values are cut to +- this
  float attention_scale = 0;  // set by the family; usually 1 / sqrt(key_dim)
  float attention_soft_cap = 0;
  // Queries at position p are multiplied by 1 + temperature_scale * log(1 + floor(p / temperature_floor)).
  float temperature_scale = 0;
  int32_t temperature_floor = 0;
  RopeTable rope, rope_local;
  bool learned_positions = false;

  Activation activation = Activation::silu;
  bool gated = true;        // down(act(gate(x)) * up(x)), else down(act(up(x)))
  bool fused_gate = false;  // ffn_up holds the gate's rows, then its own
  bool squared = false;     // relu(x)^2
  ExpertSpec experts;

  // Encoders (BERT and its kin) read in both directions and have no next token.
  bool causal = true;
  bool norm_sums = false;  // x = norm(x + f(x)), for both f
  float alibi = 0;         // > 0: see AttendSpec
  bool embedding_norm = false;
  int32_t token_types = 0;  // > 0: the first row of such a table is added to every token
  Readout readout = Readout::last;

  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  float logit_soft_cap = 0;

  int32_t query_width() const { return heads * key_dim; }
  int32_t key_width() const { return kv_heads * key_dim; }
  int32_t value_width() const { return kv_heads * value_dim; }
  int32_t output_width() const { return heads * value_dim; }  // of attention, before its projection
};

}  // namespace varve

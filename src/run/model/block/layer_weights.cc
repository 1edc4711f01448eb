#include "run/model/block/layer_weights.h"

#include <algorithm>
#include <charconv>

namespace varve {
namespace {

struct Shape {
  int32_t rows = 1, cols = 1, stack = 1;
};

std::string in_words(Shape shape) {
  std::string text = std::to_string(shape.cols) + " x " + std::to_string(shape.rows);
  return shape.stack == 1 ? text : text + " x " + std::to_string(shape.stack);
}

class Finder {
 public:
  explicit Finder(const WeightStore& store) : store_(store), used_(store.entries().size()) {}

  Result<WeightId> optional(const std::string& role, Shape wanted) {
    const WeightId id = store_.find(role);
    if (id == kNoWeight) return id;
    const WeightEntry& entry = store_.entries()[id];
    if (entry.rows != wanted.rows || entry.cols != wanted.cols || entry.stack != wanted.stack) {
      return Status(Code::invalid, role + " is " + in_words({entry.rows, entry.cols, entry.stack}) +
                                       "; its model wants " + in_words(wanted));
    }
    used_[id] = true;
    return id;
  }
  Result<WeightId> need(const std::string& role, Shape wanted) {
    const WeightId id = TRY(optional(role, wanted));
    if (id == kNoWeight) return Status(Code::invalid, "the file has no " + role + ".weight");
    return id;
  }
  Result<Affine> affine(const std::string& role, int32_t rows, int32_t cols) {
    Affine found;
    found.weight = TRY(need(role, {rows, cols}));
    found.bias = TRY(optional(role + ".bias", {1, rows}));
    for (int i = 1;; ++i) {
      const WeightId block = TRY(optional(role + ".weight.more." + std::to_string(i), {rows, cols}));
      if (block == kNoWeight) break;
      found.more.push_back(block);
    }
    if (const WeightId narrow = store_.find(role + ".weight.lora_a"); narrow != kNoWeight) {
      const int32_t rank = store_.entries()[narrow].rows;
      found.narrow = TRY(need(role + ".weight.lora_a", {rank, cols}));
      found.wide = TRY(need(role + ".weight.lora_b", {rows, rank}));
      rank_ = std::max(rank_, rank);
    }
    return found;
  }
  Result<Affine> norm(const std::string& role, int32_t width) {
    Affine found;
    found.weight = TRY(need(role, {1, width}));
    found.bias = TRY(optional(role + ".bias", {1, width}));
    return found;
  }
  // "blk.0.ffn_up_exps", or "blk.0.ffn_up.0" and those after it.
  Result<Affine> stack(const std::string& role, Shape wanted) {
    Affine found;
    const std::string each = role.substr(0, role.rfind("_exps")) + ".";
    found.apart = !has(role) && has(each + "0");
    if (!found.apart) {
      found.weight = TRY(need(role, wanted));
      return found;
    }
    found.weight = TRY(need(each + "0", {wanted.rows, wanted.cols}));
    for (int32_t i = 1; i < wanted.stack; ++i) {
      const WeightId one = TRY(need(each + std::to_string(i), {wanted.rows, wanted.cols}));
      if (one != found.weight + WeightId(i))
        return Status(Code::invalid, each + std::to_string(i) + " does not stand behind the one before it");
    }
    return found;
  }
  int32_t rank() const { return rank_; }  // the most, so far
  bool has(const std::string& role) const { return store_.find(role) != kNoWeight; }

  // Layers beyond the spec's are for other purposes than the next token.
  Status all_layers_used(size_t layers) const {
    for (WeightId id = 0; id < used_.size(); ++id) {
      const std::string& role = store_.entries()[id].role;
      if (used_[id] || !role.starts_with("blk.")) continue;
      size_t layer = 0;
      const char* number = role.data() + 4;
      const auto read = std::from_chars(number, role.data() + role.size(), layer);
      if (read.ptr != number && layer >= layers) continue;
      return Status(Code::unsupported, "the file has " + role + ", which this family does not use here");
    }
    return {};
  }

 private:
  const WeightStore& store_;
  std::vector<bool> used_;
  int32_t rank_ = 0;
};

Status find_norms(const DecoderSpec& spec, const std::string& at, Finder& finder, LayerWeights& layer) {
  if (spec.norm_before && spec.norm_weights) {
    layer.attention_norm = TRY(finder.norm(at + spec.attention_norm, spec.width));
    if (!spec.one_norm) layer.ffn_norm = TRY(finder.norm(at + spec.ffn_norm, spec.width));
  }
  if (spec.norm_after) {
    layer.attention_post_norm = TRY(finder.norm(at + "post_attention_norm", spec.width));
    layer.ffn_post_norm = TRY(finder.norm(at + "post_ffw_norm", spec.width));
  }
  if (spec.norm_sums) {
    layer.attention_post_norm = TRY(finder.norm(at + "attn_output_norm", spec.width));
    layer.ffn_post_norm = TRY(finder.norm(at + "layer_output_norm", spec.width));
  }
  if (spec.qk_norm == QkNorm::none) return {};
  if (spec.qk_norm == QkNorm::each) {
    layer.query_norm.weight = TRY(finder.need(at + "attn_q_norm", {spec.heads, spec.key_dim}));
    layer.key_norm.weight = TRY(finder.need(at + "attn_k_norm", {spec.kv_heads, spec.key_dim}));
    return {};
  }
  const bool whole = spec.qk_norm == QkNorm::whole;
  layer.query_norm = TRY(finder.norm(at + "attn_q_norm", whole ? spec.query_width() : spec.key_dim));
  layer.key_norm = TRY(finder.norm(at + "attn_k_norm", whole ? spec.key_width() : spec.key_dim));
  return {};
}

Status find_attention(const DecoderSpec& spec, const std::string& at, Finder& finder, LayerWeights& layer) {
  if (finder.has(at + "attn_qkv")) {
    const int32_t rows = spec.query_width() + spec.key_width() + spec.value_width();
    layer.qkv = TRY(finder.affine(at + "attn_qkv", rows, spec.width));
  } else {
    layer.query = TRY(finder.affine(at + "attn_q", spec.query_width(), spec.width));
    layer.key = TRY(finder.affine(at + "attn_k", spec.key_width(), spec.width));
    layer.value = TRY(finder.affine(at + "attn_v", spec.value_width(), spec.width));
  }
  layer.attention_out = TRY(finder.affine(at + "attn_output", spec.width, spec.output_width()));
  return {};
}

Status find_dense(const DecoderSpec& spec, const std::string& at, Finder& finder, LayerWeights& layer) {
  if (spec.gated && !spec.fused_gate) {
    layer.gate = TRY(finder.affine(at + "ffn_gate", spec.hidden, spec.width));
  }
  const int32_t rows = spec.gated && spec.fused_gate ? 2 * spec.hidden : spec.hidden;
  layer.up = TRY(finder.affine(at + "ffn_up", rows, spec.width));
  layer.down = TRY(finder.affine(at + "ffn_down", spec.width, spec.hidden));
  return {};
}

Status find_experts(const DecoderSpec& spec, const std::string& at, Finder& finder, LayerWeights& layer) {
  const ExpertSpec& experts = spec.experts;
  layer.router.weight = TRY(finder.need(at + "ffn_gate_inp", {experts.count, spec.width}));
  layer.router.bias = TRY(finder.optional(at + "exp_probs_b.bias", {1, experts.count}));
  const Shape in{experts.hidden, spec.width, experts.count}, out{spec.width, experts.hidden, experts.count};
  if (finder.has(at + "ffn_gate_up_exps") || finder.has(at + "ffn_gate_up.0")) {
    const Shape both{2 * experts.hidden, spec.width, experts.count};
    layer.expert_up = TRY(finder.stack(at + "ffn_gate_up_exps", both));
  } else {
    layer.expert_gate = TRY(finder.stack(at + "ffn_gate_exps", in));
    layer.expert_up = TRY(finder.stack(at + "ffn_up_exps", in));
  }
  layer.expert_down = TRY(finder.stack(at + "ffn_down_exps", out));
  if (experts.shared_hidden == 0) return {};
  layer.shared_gate = TRY(finder.affine(at + "ffn_gate_shexp", experts.shared_hidden, spec.width));
  layer.shared_up = TRY(finder.affine(at + "ffn_up_shexp", experts.shared_hidden, spec.width));
  layer.shared_down = TRY(finder.affine(at + "ffn_down_shexp", spec.width, experts.shared_hidden));
  layer.shared_router.weight = TRY(finder.optional(at + "ffn_gate_inp_shexp", {1, spec.width}));
  return {};
}

Result<LayerWeights> find_layer(const DecoderSpec& spec, size_t index, Finder& finder) {
  const std::string at = "blk." + std::to_string(index) + ".";
  LayerWeights layer;
  TRY(find_norms(spec, at, finder, layer));
  TRY(find_attention(spec, at, finder, layer));
  if (spec.layers[index].experts) {
    TRY(find_experts(spec, at, finder, layer));
  } else {
    TRY(find_dense(spec, at, finder, layer));
  }
  layer.rank = finder.rank();
  return layer;
}

}  // namespace

std::vector<WeightId> LayerWeights::all() const {
  std::vector<WeightId> ids;
  for (const Affine* one : {&attention_norm,
                            &attention_post_norm,
                            &ffn_norm,
                            &ffn_post_norm,
                            &query_norm,
                            &key_norm,
                            &qkv,
                            &query,
                            &key,
                            &value,
                            &attention_out,
                            &gate,
                            &up,
                            &down,
                            &router,
                            &expert_gate,
                            &expert_up,
                            &expert_down,
                            &shared_gate,
                            &shared_up,
                            &shared_down,
                            &shared_router}) {
    if (one->weight != kNoWeight) ids.push_back(one->weight);
    ids.insert(ids.end(), one->more.begin(), one->more.end());
    if (one->narrow != kNoWeight) ids.insert(ids.end(), {one->narrow, one->wide});
    if (one->bias != kNoWeight) ids.push_back(one->bias);
  }
  return ids;
}

Result<DecoderWeights> find_weights(const DecoderSpec& spec, const WeightStore& store) {
  Finder finder(store);
  DecoderWeights found;
  found.token_embedding = TRY(finder.need("token_embd", {spec.vocabulary, spec.width}));
  if (spec.learned_positions) {
    found.position_embedding = TRY(finder.need("position_embd", {spec.context, spec.width}));
  }
  if (spec.embedding_norm) found.embedding_norm = TRY(finder.norm("token_embd_norm", spec.width));
  if (spec.token_types > 0) {
    found.token_types = TRY(finder.need("token_types", {spec.token_types, spec.width}));
  }
  if (spec.norm_weights && !spec.norm_sums) found.output_norm = TRY(finder.norm("output_norm", spec.width));
  found.output.weight = TRY(finder.optional("output", {spec.vocabulary, spec.width}));
  if (found.output.empty()) found.output.weight = found.token_embedding;
  found.output.bias = TRY(finder.optional("output.bias", {1, spec.vocabulary}));
  for (size_t i = 0; i < spec.layers.size(); ++i) found.layers.push_back(TRY(find_layer(spec, i, finder)));
  TRY(finder.all_layers_used(spec.layers.size()));
  for (size_t i = 0; i + 1 < found.layers.size(); ++i) {
    const LayerWeights& next = found.layers[i + 1];
    found.layers[i].next_router = next.router.weight;
    for (const Affine* stack : {&next.expert_gate, &next.expert_up, &next.expert_down})
      if (!stack->empty()) found.layers[i].next_experts.push_back(*stack);
  }
  return found;
}

}  // namespace varve

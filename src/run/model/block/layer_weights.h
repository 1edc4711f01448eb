// Which weights a decoder uses, found by role and checked against its spec when it opens, so that no forward
// pass meets a missing or wrong-shaped tensor.
#pragma once

#include <vector>

#include "run/model/block/decoder_spec.h"
#include "run/weights/weight_store.h"

namespace varve {

struct Affine {  // a projection or a norm; either part may be absent
  WeightId weight = kNoWeight, bias = kNoWeight;
  // What a compressed file gives back of its error: matrices of the same shape that are added, of which the
  // store may leave some out, and a product of two narrow ones.
  std::vector<WeightId> more = {};
  WeightId narrow = kNoWeight, wide = kNoWeight;
  bool apart = false;  // experts that are no stack: each a weight of its own, ids one after another
  bool empty() const { return weight == kNoWeight; }
};

struct LayerWeights {
  Affine attention_norm, attention_post_norm, ffn_norm, ffn_post_norm, query_norm, key_norm;
  Affine qkv;  // fused; else the next three
  Affine query, key, value, attention_out;
  Affine gate, up, down;  // fused_gate: up holds both
  // Experts: stacks of matrices, or matrices apart, whose number formats may differ (without expert_gate,
  // expert_up holds both); and one shared expert.
  Affine router, expert_gate, expert_up, expert_down;
  Affine shared_gate, shared_up, shared_down, shared_router;
  // Of the next layer, whose experts can be expected before it is reached; empty when it has none.
  WeightId next_router = kNoWeight;
  std::vector<Affine> next_experts = {};
  int32_t rank = 0;  // the most rows of a `narrow`

  std::vector<WeightId> all() const;  // for WeightStore::hint
};

struct DecoderWeights {
  WeightId token_embedding = kNoWeight, position_embedding = kNoWeight, token_types = kNoWeight;
  Affine embedding_norm, output_norm, output;
  std::vector<LayerWeights> layers;
};

// invalid: names the tensor that is missing or of another shape; unsupported: a tensor of a layer that this
// family does not use, because to leave it out would be to compute something else.
Result<DecoderWeights> find_weights(const DecoderSpec& spec, const WeightStore& store);

}  // namespace varve

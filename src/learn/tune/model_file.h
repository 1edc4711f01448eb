// A model that learnt, as a file that run/model opens.
#pragma once

#include "core/format/gguf.h"
#include "learn/grad/parts.h"
#include "run/model/block/decoder_spec.h"

namespace varve {

struct FreshShape {  // of a model that begins from nothing; family llama
  int32_t layers = 7, width = 384, hidden = 1024, heads = 6, kv_heads = 2, vocabulary = 8192, context = 512;
  float rope_base = 10000;
  Activation activation = Activation::silu;  // of the network's gate
  int32_t experts = 0, used = 2;             // of each layer, `hidden` wide; 0: one network
};
// invalid: heads that do not divide what they must.
Result<DecoderSpec> fresh_spec(const FreshShape& shape);

// Metadata of `writer` is kept; matrices are encoded by `codec` (whole blocks), vectors stay f32.
// over_budget: the encoded values do not fit.
Status write_model(const FreshShape& shape, const Parts& parts, const Codec& codec, GgufWriter& writer,
                   Env& env, const std::string& path, Ledger& ledger);

}  // namespace varve

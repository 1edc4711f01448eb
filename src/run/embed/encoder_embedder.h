// EncoderEmbedder: a GGUF file of a model that was trained to give embeddings - BERT and its kin, or a
// decoder with a pooling type - as vectors of texts. It runs on threads of its own, beside the engine.
#pragma once

#include <memory>
#include <string>

#include "core/base/ports.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"

namespace varve {

struct EncoderOptions {
  int32_t tokens = 512;  // of a text that are read; the rest is cut off, as beyond the model's context
  int32_t threads = 0;   // 0: all cores
};

// invalid: a file without a tokenizer; over_budget: weights, scratch and KV do not fit. The ledger must
// outlive it. Thread-safe: texts take turns.
Result<std::unique_ptr<Embedder>> open_encoder_embedder(Env& env, const std::string& path, Ledger& ledger,
                                                        const EncoderOptions& options = {});

}  // namespace varve

// Random tiny encoders from a seed, with a WordPiece vocabulary, as GGUF files have them; and what one
// computes, by an implementation of its own: slow, obvious, in double.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/format/gguf.h"

namespace varve::reference {

struct RandomEncoder {
  std::string architecture = "bert";  // nomic-bert, jina-bert-v2
  int32_t layers = 2, width = 32, heads = 4, hidden = 64, context = 64;
  int32_t pooling = 1;  // GGUF's: 1 mean, 2 first, 3 last
  bool fused_qkv = false, token_types = true;
};

Status write_random_encoder(const RandomEncoder& model, uint64_t seed, Env& env, const std::string& path);

// The pooled vector of these tokens, of length 1.
std::vector<double> encoded(Env& env, const std::string& path, const std::vector<int32_t>& tokens);

}  // namespace varve::reference

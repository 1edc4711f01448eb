// A tiny random model of the llama family, for tests: no test needs a downloaded one. It talks nonsense, but
// has a tokenizer that round-trips every text and a ChatML template. The same options and seed give the same
// bytes.
#pragma once

#include <cstdint>
#include <string>

#include "core/format/gguf.h"

namespace varve {

struct TinyModel {
  uint64_t seed = 1;
  int32_t layers = 2, width = 64, heads = 4, kv_heads = 2, hidden = 128, context = 2048;
  int32_t vocabulary = 384;     // 256 bytes, merges of common English, three control tokens: 259 to 512
  std::string weights = "f32";  // a codec that GGUF knows and whose blocks fit width and hidden
  bool tokenizer = true, chat_template = true;
  bool relu = false;  // in place of SiLU
};

Status write_tiny_model(Env& env, const std::string& path, const TinyModel& options = {});

}  // namespace varve

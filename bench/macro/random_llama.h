// A llama of a chosen shape with random weights, as a file: speed does not depend on what the weights are.
#pragma once

#include <string>

#include "core/io/env.h"

namespace varve::bench {

struct LlamaShape {  // of Llama 3.2 1B, with a smaller vocabulary
  int layers = 16, width = 2048, hidden = 8192, heads = 32, kv_heads = 8, vocabulary = 32000, context = 8192;
  // > 0: ReLU in place of SiLU, and biases of the gate under which so large a share of the neurons is idle;
  // some fire often and most seldom, as in trained models. Needs a codec without blocks.
  double idle = 0;
};

// invalid: the shape does not fit the blocks of the codec, or itself.
Status write_random_llama(Env& env, const std::string& path, const LlamaShape& shape, std::string_view codec);

}  // namespace varve::bench

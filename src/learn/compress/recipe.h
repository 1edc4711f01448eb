// What `varve compress --to` says: "q4_k", "q3_k+gptq", "target=4.5bpw", "flap:share=0.2+q4_k". Words with
// '+' between; a number format or a target, and methods in the order in which they plan.
#pragma once

#include <optional>

#include "learn/compress/compressor.h"

namespace varve {

// What a format is said to lose of a weight: by what it does to the model's answers, to the weight's
// products, or to the correlation of each output with what it was.
enum class LossRule : uint8_t { measured, error, correlation };
struct SearchOptions {  // of by=search, which begins where `measured` ends
  int32_t rounds = 3, generations = 16, children = 8;
  int64_t tokens = 2048;  // that a child is judged by at most
  uint64_t seed = 0;
};
struct CompressTarget {
  double bits = 0;               // a weight, of the original's count; or
  int64_t bytes = 0;             // of all tensors
  std::optional<LossRule> rule;  // unset: measured where there is a text, else error
  std::optional<SearchOptions> search;
  bool planes = false;  // formats that GGUF does not have may be chosen
};
struct CompressRecipe {
  std::string text;
  const Codec* type = nullptr;  // of all that rounds; null, without a target: each keeps its own
  std::optional<CompressTarget> target;
  std::vector<std::shared_ptr<Compressor>> methods;
  Sight sight = Sight::nothing;  // the most that any of them asks for
};
// not_found: a word that is neither a format nor a method (lists both); invalid: two formats, or options that
// a word does not have.
Result<CompressRecipe> parse_compress_recipe(std::string_view text);

}  // namespace varve

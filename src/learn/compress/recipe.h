// What `varve compress --to` says: "q4_k", "q3_k+gptq", "target=4.5bpw", "flap:share=0.2+q4_k". Words with
// '+' between; a number format or a target, and methods in the order in which they plan.
#pragma once

#include <optional>

#include "learn/compress/compressor.h"

namespace varve {

struct CompressTarget {
  double bits = 0;    // a weight, of the original's count; or
  int64_t bytes = 0;  // of all tensors
  // Loss by what a format does to the model's answers, else by what it does to a product; unset: the first
  // where there is a text.
  std::optional<bool> measured;
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

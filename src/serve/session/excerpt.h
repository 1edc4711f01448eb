// XL3M (Wang et al. 2024): words longer than a model may read are cut into parts that it can; each is read
// alone with the question, and those stay, in their order, after which the model finds the question least
// surprising. The question is the last paragraph. Without training, and at the price of reading everything
// once in parts.
#pragma once

#include <string>
#include <string_view>

#include "core/base/ports.h"
#include "run/model/tokenizer.h"

namespace varve {

struct Excerpt {
  std::string text;          // the parts that stay, "[...]" where any are left out, then the question
  int32_t kept = 0, of = 0;  // parts
};

// invalid: the question alone takes more than `most_tokens`.
Result<Excerpt> excerpt(Scorer& scorer, const Tokenizer& tokenizer, std::string_view words,
                        int32_t most_tokens);

}  // namespace varve

// Many requests at once, none of which waits to be looked at: those that begin alike go after each other, so
// that the engine reads what they share once (BatchLLM, Zheng et al. 2024: an explicit global order).
#pragma once

#include "serve/session/answer/generate.h"

namespace varve {

struct BatchRead {
  int64_t prompt_tokens = 0, unique_tokens = 0, reused_tokens = 0;  // unique: of the trie of the prompts
};
// In the order of their ends; on the thread of one of `at_once` workers, one call at a time. The first error
// of the engine's ends the batch.
using OnAnswer = std::function<void(size_t request, const Generation& made)>;
Result<BatchRead> generate_all(Engine& engine, const std::vector<Request>& requests,
                               const std::vector<std::string>& stop, int32_t at_once,
                               const OnAnswer& on_answer);

}  // namespace varve

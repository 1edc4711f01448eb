// MemoryRecipe: a named arrangement of reflectors, recall and a token allowance. One line of recipe.def each;
// a recipe holds no code.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/status.h"

namespace varve {

struct MemoryRecipe {
  std::string_view name, summary;
  std::string_view reflectors;  // specs joined by '+'
  std::string_view recall;      // retriever and reranker specs joined by '+', or "default"
  int32_t recall_tokens;        // of a prompt
};
std::span<const MemoryRecipe> memory_recipes();
Result<MemoryRecipe> find_memory_recipe(
    std::string_view name);  // "recipe:NAME" means the same; not_found names those there are

}  // namespace varve

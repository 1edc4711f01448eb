#include "memory/reflect/recipe.h"

#include <string>

namespace varve {
namespace {

constexpr MemoryRecipe kRecipes[] = {
#define RECIPE(name, summary, reflectors, recall, tokens) {#name, summary, reflectors, recall, tokens},
#include "memory/reflect/recipe.def"
#undef RECIPE
};

}  // namespace

std::span<const MemoryRecipe> memory_recipes() {
  return kRecipes;
}

Result<MemoryRecipe> find_memory_recipe(std::string_view name) {
  constexpr std::string_view prefix = "recipe:";
  if (name.substr(0, prefix.size()) == prefix) name.remove_prefix(prefix.size());
  std::string known;
  for (const MemoryRecipe& one : memory_recipes()) {
    if (one.name == name) return one;
    known.append(known.empty() ? "" : ", ").append(one.name);
  }
  return Status(Code::not_found, "no recipe named '" + std::string(name) + "'; there are " + known);
}

}  // namespace varve

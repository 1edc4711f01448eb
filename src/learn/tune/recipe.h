// Recipes: published ways to fine-tune, as data. A recipe says which weights get which shape, and how it is
// scaled; the lesson does the rest.
#pragma once

#include "core/base/options.h"
#include "learn/grad/parts.h"

namespace varve {

struct Recipe {
  std::string name;
  LowRankSource::Shape shape;
  float alpha = 0;  // as adapter files state it: shape.scale is alpha / rank
};
// "lora:rank=8,alpha=16"; `on`: roles with '*', empty for all linear maps of the blocks. not_found lists the
// known.
Result<Recipe> read_recipe(std::string_view spec, std::vector<std::string> on);

struct RecipeEntry {
  std::string_view name, summary;
};
std::span<const RecipeEntry> recipes();  // for `varve list`

}  // namespace varve

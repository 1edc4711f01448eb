#include "learn/tune/recipe.h"

#include <cmath>

namespace varve {
namespace {

constexpr RecipeEntry kRecipes[] = {
    {"lora", "low-rank sums over a frozen model, scaled by alpha / rank (Hu et al. 2021)"},
    {"rslora", "the same scaled by alpha / sqrt(rank), steady at high ranks (Kalajdzievski 2023)"},
};

}  // namespace

std::span<const RecipeEntry> recipes() {
  return kRecipes;
}

Result<Recipe> read_recipe(std::string_view text, std::vector<std::string> on) {
  const Spec spec = TRY(parse_spec(text));
  int32_t rank = 16;
  float alpha = 0;
  TRY(OptionReader(spec).read("rank", rank, 1, 4096).read("alpha", alpha, 1e-6f, 1e6f).done());
  if (alpha == 0) alpha = float(2 * rank);
  Recipe recipe{spec.name, {std::move(on), rank, 1}};
  if (recipe.shape.on.empty()) recipe.shape.on = {"blk.*.*"};
  if (spec.name == "lora") {
    recipe.shape.scale = alpha / float(rank);
  } else if (spec.name == "rslora") {
    recipe.shape.scale = alpha / std::sqrt(float(rank));
  } else {
    return Status(Code::not_found, "no recipe named '" + spec.name + "'; there are lora, rslora");
  }
  recipe.alpha = recipe.shape.scale * float(rank);
  return recipe;
}

}  // namespace varve

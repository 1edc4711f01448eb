#include "learn/tune/recipe.h"

namespace varve {
namespace {

std::string& field_of(Recipe& recipe, RecipeField field) {
  switch (field) {
    case RecipeField::form: return recipe.form;
    case RecipeField::optimizer: return recipe.optimizer;
    case RecipeField::selector: return recipe.selector;
    case RecipeField::gradient: return recipe.gradient;
    case RecipeField::keep: return recipe.keep;
    case RecipeField::objective: break;
  }
  return recipe.objective;
}

// What is given replaces what the field has of the same key.
Status add_options(const Spec& given, std::string& field) {
  Spec spec = TRY(parse_spec(field));
  for (const auto& [key, value] : given.options) spec.options[key] = value;
  field = spec.name;
  char before = ':';
  for (const auto& [key, value] : spec.options) field += before + key + "=" + value, before = ',';
  return {};
}

}  // namespace

std::span<const RecipeEntry> recipes() {
  using F = RecipeField;
  static const std::vector<RecipeEntry> all = {
#define RECIPE(title, text, own, ...) {title, text, F::own, Recipe{.name = title, __VA_ARGS__}},
#include "learn/tune/recipes.def"
#undef RECIPE
  };
  return all;
}

Result<Recipe> read_recipe(std::string_view text) {
  const Spec spec = TRY(parse_spec(text));
  std::string known;
  for (const RecipeEntry& entry : recipes()) {
    known.append(known.empty() ? "" : ", ").append(entry.name);
    if (entry.name != spec.name) continue;
    Recipe recipe = entry.recipe;
    if (!spec.options.empty()) TRY(add_options(spec, field_of(recipe, entry.own)));
    return recipe;
  }
  return Status(Code::not_found, "no recipe named '" + spec.name + "'; there are " + known);
}

Status set_plan(const Recipe& recipe, LessonPlan& plan) {
  plan.optimizer = recipe.optimizer, plan.selector = recipe.selector, plan.gradient = recipe.gradient;
  if (recipe.clip >= 0) plan.clip = recipe.clip;
  if (recipe.rate > 0) plan.rate = recipe.rate;
  if (!recipe.objective.empty()) plan.objective = recipe.objective;
  if (!recipe.slots.empty()) plan.slots = recipe.slots;
  if (!recipe.keep.empty()) TRY(plan.read_keep(recipe.keep));
  if (!plan.selector.empty()) TRY(selectors().make(plan.selector).status().with("recipe " + recipe.name));
  return optimizers().make(plan.optimizer).status().with("recipe " + recipe.name);
}

}  // namespace varve

// Recipes: published ways to train and to fine-tune, as data. A recipe is a handful of fields that know
// nothing of each other, each "name:key=value" of a table of its own; the lesson makes them work together, or
// says in a sentence which two do not.
#pragma once

#include "core/base/options.h"
#include "learn/grad/parts.h"
#include "learn/tune/lesson.h"

namespace varve {

struct Recipe {
  std::string name;
  std::string form = "dense";       // of what learns: dense (the weights), one of forms(), or gate: over KV
  std::string optimizer = "adamw";  // of optimizers()
  std::string selector;             // which weights learn now; empty: all
  std::string gradient;     // where gradients come from and how long they stay; empty: backward, whole
  float clip = -1;          // largest norm of all gradients; negative: as the command has it
  float rate = -1;          // likewise
  std::string keep, slots;  // activations; empty: as the command has it
  std::string objective;    // empty: likelihood of what should be said

  bool adapter() const { return form != "dense"; }  // else the weights themselves learn
};

enum class RecipeField : uint8_t { form, optimizer, selector, gradient, keep, objective };

struct RecipeEntry {
  std::string_view name, summary;
  RecipeField own;  // the field that "name:key=value" sets options of
  Recipe recipe;
};
std::span<const RecipeEntry> recipes();

// "lora:rank=8,alpha=16". not_found lists the known. Options are checked by whoever makes the field's method.
Result<Recipe> read_recipe(std::string_view text);
// Puts the fields that a lesson knows into its plan.
Status set_plan(const Recipe& recipe, LessonPlan& plan);

}  // namespace varve

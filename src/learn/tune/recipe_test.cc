// Recipes as data: the table makes sense, options go to their field, what is unknown is named.
#include "learn/tune/recipe.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(Recipe, EachOfTheTableIsReadAndMakesAPlan) {
  for (const RecipeEntry& entry : recipes()) {
    const auto recipe = read_recipe(entry.name);
    ASSERT_TRUE(recipe.ok()) << entry.name;
    LessonPlan plan;
    EXPECT_TRUE(set_plan(*recipe, plan).ok()) << entry.name;
    EXPECT_EQ(plan.optimizer, recipe->optimizer);
  }
}

TEST(Recipe, OptionsGoToTheFieldThatIsItsOwn) {
  EXPECT_EQ(read_recipe("galore8:rank=4")->optimizer, "galore:bits=8,rank=4");
  EXPECT_EQ(read_recipe("galore8:bits=32")->optimizer, "galore:bits=32");
  const auto lora = read_recipe("lora:rank=8,alpha=24");
  EXPECT_EQ(lora->optimizer, "adamw");
  EXPECT_EQ(lora->form, "lora:alpha=24,rank=8");
}

TEST(Recipe, WhatIsUnknownIsSaid) {
  const Status none = read_recipe("alchemy").status();
  EXPECT_EQ(none.code(), Code::not_found);
  EXPECT_NE(none.message().find("galore"), std::string::npos);
  LessonPlan plan;
  EXPECT_FALSE(set_plan(*read_recipe("galore:speed=3"), plan).ok());
  EXPECT_EQ(plan.read_keep("burn").code(), Code::invalid);
  EXPECT_EQ(plan.read_keep("spill:recompute=2").code(), Code::invalid);
  EXPECT_TRUE(plan.read_keep("spill:recompute=0.5").ok());
  EXPECT_EQ(plan.recompute, 0.5f);
}

}  // namespace
}  // namespace varve

#include "memory/recall/recipe.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(RecallRecipe, NamesRetrieversOneFusionAndRerankers) {
  auto made = make_recipe("bm25:weight=0.5+graph+rrf:k=10+context:dense=0+mmr", {});
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(made->parts.size(), 4u);
  EXPECT_EQ(made->parts[0].weight, 0.5);
  EXPECT_NE(made->parts[1].retriever, nullptr);
  EXPECT_NE(made->parts[3].reranker, nullptr);
  EXPECT_TRUE(make_recipe("default", {}).ok());
}

TEST(RecallRecipe, WhatCannotBeIsRefusedByName) {
  EXPECT_EQ(make_recipe("bm25+rrf+best", {}).code(), Code::invalid);
  EXPECT_EQ(make_recipe("context+bm25", {}).code(), Code::invalid);
  EXPECT_EQ(make_recipe("rrf", {}).code(), Code::invalid);
  EXPECT_EQ(make_recipe("bm25+dense", {}).code(), Code::unsupported);
  EXPECT_EQ(make_recipe("bm25+likelihood", {}).code(), Code::unsupported);
  EXPECT_EQ(make_recipe("bm25+nothing", {}).code(), Code::not_found);
}

}  // namespace
}  // namespace varve

#include <gtest/gtest.h>

#include "run/kv/kv_cache.h"

namespace varve {
namespace {

std::string refusal(std::string_view recipe, Code code) {
  Status status = parse_kv_recipe(recipe).status();
  EXPECT_EQ(status.code(), code) << recipe;
  return std::string(status.message());
}

TEST(KvRecipe, IsReadFromWordsInAnyOrder) {
  auto recipe = parse_kv_recipe("pack=f32  policy=streaming:sinks=4,window=512\tselect=all allot=uniform");
  ASSERT_TRUE(recipe.ok());
  EXPECT_EQ(recipe->pack, "f32");
  EXPECT_EQ(recipe->policy, "streaming:sinks=4,window=512");
  EXPECT_EQ(recipe->budget_tokens, 516) << "what the policy asks for";
  EXPECT_EQ(parse_kv_recipe("policy=streaming budget_tokens=100")->budget_tokens, 100);
}

TEST(KvRecipe, KeepsEverythingInF16ByDefault) {
  auto recipe = parse_kv_recipe("");
  ASSERT_TRUE(recipe.ok());
  EXPECT_EQ(recipe->policy, "full");
  EXPECT_EQ(recipe->pack, "f16");
  EXPECT_EQ(recipe->budget_tokens, 0);
}

TEST(KvRecipe, RefusesWhatItDoesNotKnowAndListsWhatItKnows) {
  EXPECT_NE(refusal("polcy=full", Code::invalid).find("policy, budget_tokens, allot, pack, select"),
            std::string::npos);
  EXPECT_NE(refusal("policy=h2", Code::invalid).find("full, "), std::string::npos);
  EXPECT_NE(refusal("policy=h2", Code::invalid).find("streaming"), std::string::npos);
  EXPECT_NE(refusal("pack=q4_k", Code::invalid).find("f32, f16, bf16, q8_0"), std::string::npos);
  EXPECT_NE(refusal("policy=streaming allot=pyre", Code::invalid).find("uniform"), std::string::npos);
  EXPECT_NE(refusal("pack=q4_k", Code::invalid).find("kivi"), std::string::npos);
  EXPECT_NE(refusal("select=top", Code::invalid).find("there are all, "), std::string::npos);
  refusal("pack=kivi:bits=3", Code::invalid);
  refusal("pack=kivi:bit=2", Code::invalid);
  refusal("select=box:pages=-1", Code::invalid);
  refusal("select=centroid:estimate=7", Code::invalid);
  EXPECT_NE(refusal("policy=streaming pack=kivi", Code::invalid).find("use policy=full"), std::string::npos);
  EXPECT_NE(refusal("policy=snapkv budget_tokens=64 select=box", Code::invalid).find("use select=all"),
            std::string::npos);
  refusal("policy=streaming:sink=4", Code::invalid);
  refusal("policy=streaming budget_tokens=0", Code::invalid);
  refusal("policy=streaming budget_tokens=12x", Code::invalid);
  refusal("budget_tokens=64", Code::invalid);
  refusal("pack=f16 pack=f32", Code::invalid);
  refusal("streaming", Code::invalid);
  refusal("=full", Code::invalid);
  refusal("policy=streaming allot=heads", Code::invalid);
  EXPECT_NE(refusal("policy=full allot=pyramid", Code::invalid).find("policy=full"), std::string::npos);
}

TEST(KvRecipe, RefusesWordsThatAskForMoreThanTheBudget) {
  EXPECT_NE(refusal("policy=streaming:window=512 budget_tokens=100", Code::invalid).find("516 tokens a lane"),
            std::string::npos);
  refusal("policy=sirllm:sinks=40,recent=64 budget_tokens=100", Code::invalid);
  refusal("policy=razor:sinks=101 budget_tokens=100", Code::invalid);
  EXPECT_TRUE(parse_kv_recipe("policy=streaming:sinks=10 budget_tokens=100").ok());
  EXPECT_TRUE(parse_kv_recipe("policy=d2o:recent=0.5 budget_tokens=8").ok());
}

}  // namespace
}  // namespace varve

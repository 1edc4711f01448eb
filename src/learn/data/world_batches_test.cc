// Batches of a world, with a vocabulary of bytes.
#include "learn/data/world_batches.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "learn/data/vocabulary_text.h"
#include "tests/support/fake_tokenizer.h"

namespace varve {
namespace {

constexpr const char* kMarks =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}.{% endfor %}{% if add_generation_prompt "
    "%}[assistant]{% endif %}";

struct Rig {
  explicit Rig(std::string_view mixture = "single:most=2", int32_t rows = 4000, int32_t longest = 2000)
      : world(std::move(world::World::make(mixture, world::Split::train, 1)).value()),
        batches(world, {.rows = rows, .parts = 2, .context = 0.25f, .feed = {longest, &tokenizer, &chat}}) {}
  TextBatch batch(int64_t step, int32_t part = 0) const {
    TextBatch out;
    EXPECT_TRUE(batches.fill(step, part, out).ok());
    return out;
  }
  FakeTokenizer tokenizer{{}};
  ChatTemplate chat = std::move(ChatTemplate::parse(kMarks)).value();
  world::World world;
  WorldBatches batches;
};

TEST(WorldBatches, ABatchIsAFunctionOfItsPlace) {
  const Rig rig;
  EXPECT_EQ(rig.batch(3, 1).tokens, rig.batch(3, 1).tokens);
  EXPECT_NE(rig.batch(3, 1).tokens, rig.batch(3, 0).tokens);
  EXPECT_NE(rig.batch(3, 1).tokens, rig.batch(4, 1).tokens);
}

TEST(WorldBatches, WhatTheAssistantSaysWeighsMostAndNothingIsLearntAcrossItems) {
  const Rig rig;
  const TextBatch batch = rig.batch(0);
  ASSERT_GT(batch.starts.size(), 2u);
  ASSERT_LE(batch.tokens.size(), 4000u);
  EXPECT_GT(batch.tokens.size(), 3000u);
  std::string answers, all;
  for (size_t i = 0; i < batch.tokens.size(); ++i) {
    const bool ends = i + 1 == batch.tokens.size() || std::find(batch.starts.begin(), batch.starts.end(),
                                                                int32_t(i + 1)) != batch.starts.end();
    EXPECT_EQ(batch.targets[i], ends ? -1 : batch.tokens[i + 1]);
    EXPECT_TRUE(batch.weights[i] == 0 ? ends : batch.weights[i] == 1 || batch.weights[i] == 0.25f);
    if (batch.weights[i] == 1) answers += char(batch.targets[i]);
    all += char(batch.tokens[i]);
  }
  const world::Item first = rig.world.item(0);
  EXPECT_NE(all.find(first.messages.as_array()[0]["content"].as_string()), std::string::npos);
  std::string expected;
  for (const Json& message : first.messages.as_array()) {
    if (message["role"] == Json("assistant")) expected += message["content"].as_string() + ".";
  }
  EXPECT_EQ(answers.substr(0, expected.size()), expected);
}

TEST(WorldBatches, ItemsThatAreTooLongArePassedOver) {
  const Rig rig("single+distract", 4000, 700);
  const TextBatch batch = rig.batch(0);
  for (size_t i = 0; i + 1 < batch.starts.size(); ++i) EXPECT_LE(batch.starts[i + 1] - batch.starts[i], 700);
  const Rig none("distract", 4000, 20);
  TextBatch out;
  EXPECT_EQ(none.batches.fill(0, 0, out).code(), Code::invalid);
}

TEST(WorldBatches, ProseIsContext) {
  const TextBatch batch = Rig("prose").batch(0);
  for (size_t i = 0; i < batch.tokens.size(); ++i) EXPECT_LE(batch.weights[i], 0.25f);
}

TEST(WorldBatches, TheTextOfAVocabularyHasTheSentencesAndNotTheValues) {
  const std::string text = vocabulary_text(Rig("single+prose").world, 300);
  for (const char* word : {"favourite", "lives", "recalled"}) EXPECT_NE(text.find(word), text.npos) << word;
  for (const char* value : {"Berlin", "pancakes", "Daniel"}) EXPECT_EQ(text.find(value), text.npos) << value;
}

}  // namespace
}  // namespace varve

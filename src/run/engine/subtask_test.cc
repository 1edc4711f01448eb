// Answers whose finished subtasks leave the KV.
#include <gtest/gtest.h>

#include "run/engine/rig_test.h"

namespace varve {
namespace {

// Tokens are letters, of which three are marks.
class Letters : public FakeModel {
 public:
  using FakeModel::FakeModel;
  class Spells : public DigitTokenizer {
   public:
    Spells() : DigitTokenizer({}) {}
    void decode(Token token, bool, std::string& out) const override { out += char('0' + token); }
  };
  const Tokenizer* tokenizer() const override { return &spells_; }

 private:
  Spells spells_;
};

SubtaskMarks marks(int keep = 0) {
  return {.open = "1", .result = "2", .close = "3", .keep = keep, .head = 1, .ask = 0};
}

Request subtasks(int32_t prompt, int32_t max_tokens, int keep = 0) {
  Request request = ask(prompt_of(prompt, 4), max_tokens, {.temperature = 1, .seed = 9});
  request.sampling.logit_bias = {{1, 3.f}, {2, 3.5f}, {3, 3.5f}};
  request.subtasks = marks(keep);
  return request;
}

struct Told {
  std::vector<Token> said, left;
};
// Every token is what a fresh reading of what is left would say next.
Told expected_of(const Request& request, int32_t context) {
  Told told{.left = request.tokens};
  Subtasks read(*request.subtasks);
  while (int32_t(told.said.size()) < request.max_tokens && int32_t(told.left.size()) < context) {
    Seen seen;
    for (size_t i = 0; i < told.left.size(); ++i) seen.emplace_back(told.left[i], int32_t(i));
    std::vector<float> logits = FakeModel::logits_of(seen);
    const Token token = sample(logits, told.left, told.said.size(), request.sampling)->token;
    told.said.push_back(token), told.left.push_back(token);
    std::string text(1, char('0' + token));
    read.hear(int32_t(told.left.size()) - 1, text);
    while (const auto gone = read.next(int32_t(told.left.size()) == context))
      told.left.erase(told.left.begin() + gone->first, told.left.begin() + gone->end);
  }
  return told;
}

TEST(Pruning, SaysWhatAFreshReadingOfTheRestWouldSay) {
  for (const int keep : {0, 2}) {
    for (const int32_t rows : {7, 256}) {
      const Request request = subtasks(70, 400, keep);
      const Told told = expected_of(request, 512);
      Rig rig({.chunk_rows = rows}, std::make_shared<Letters>());
      Usage usage;
      EXPECT_EQ(rig.say(request, &usage), told.said) << rows << keep;
      EXPECT_GT(usage.subtasks, 5);
      EXPECT_EQ(usage.pruned_tokens, 70 + 400 - int32_t(told.left.size()));
      EXPECT_GT(usage.pruned_tokens, 0);
      EXPECT_GT(usage.reread_tokens, 0);
    }
  }
}

TEST(Pruning, LetsAnAnswerBeLongerThanTheContextInTheRoomOfOne) {
  const Request request = subtasks(70, 600);
  const Told told = expected_of(request, 256);
  ASSERT_GT(told.said.size(), 256u) << "where the context has room for 186";
  Rig rig({.context = 256}, std::make_shared<Letters>());
  Heard heard;
  rig.submit(request, heard);
  heard.wait_for_tokens(200);
  const int64_t held = rig.ledger.used(Tag::kv);
  EXPECT_EQ(heard.wait(), Finish::length);
  EXPECT_EQ(heard.tokens(), told.said);
  EXPECT_LE(held, 4 * 4 * kPageTokens * (6 * 4 + 4)) << "256 tokens";
  EXPECT_EQ(heard.usage().generated_tokens, int32_t(told.said.size()));
}

TEST(Pruning, LeavesAPrefixOfWhatIsLeftAndOthersAlone) {
  Rig rig({}, std::make_shared<Letters>());
  const Request request = subtasks(70, 200);
  Request plain = request;
  plain.subtasks.reset();
  Heard beside;
  rig.submit(plain, beside);
  Told told = expected_of(request, 512);
  EXPECT_EQ(rig.say(request), told.said);
  beside.wait();
  EXPECT_EQ(beside.tokens(), expected(plain));
  Request next = plain;
  next.tokens = told.left;
  next.max_tokens = 5;
  Usage usage;
  EXPECT_EQ(rig.say(next, &usage), expected(next));
  EXPECT_EQ(usage.reused_tokens, int32_t(told.left.size()) - 1);
}

TEST(Pruning, IsRefusedBesideAPolicyThatDrops) {
  Rig rig({.kv = "pack=f32 policy=streaming:sinks=4 budget_tokens=128"}, std::make_shared<Letters>());
  EXPECT_EQ(rig.refusal(subtasks(10, 10)).code(), Code::invalid);
}

}  // namespace
}  // namespace varve

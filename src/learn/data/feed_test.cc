// Feeds of every kind, good and bad, with a vocabulary of bytes.
#include "learn/data/pairs.h"

#include <gtest/gtest.h>

#include "tests/support/fake_tokenizer.h"

namespace varve {
namespace {

constexpr const char* kChatMl =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}.{% endfor %}{% if add_generation_prompt "
    "%}[assistant]{% endif %}";

struct Rig {
  Rig() : shape{.length = 64, .tokenizer = &tokenizer, .chat_template = &chat} {}
  Status add(std::string_view file) { return feed.add("feed.jsonl", file, shape); }
  std::string learnt(size_t index) const {  // what is to be learnt; the rest as '-'
    std::string text;
    for (size_t i = 0; i < feed[index].tokens.size(); ++i) {
      const Token token = feed[index].tokens[i];
      text += feed[index].learn[i] == 0 ? '-' : token == tokenizer.end() ? '$' : char(token);
    }
    return text;
  }
  Ledger ledger{1 << 20};
  FakeTokenizer tokenizer{{}};
  ChatTemplate chat = std::move(ChatTemplate::parse(kChatMl)).value();
  FeedShape shape;
  Feed feed = std::move(Feed::make(ledger)).value();
};

TEST(Feed, LearnsOnlyWhatTheModelShouldSay) {
  Rig rig;
  ASSERT_TRUE(
      rig.add(
             R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes"},)"
             R"({"role":"user","content":"no"},{"role":"assistant","content":"ok"}]})"
             "\n\n"
             R"({"messages":[{"role":"assistant","content":"a","train":false},{"role":"assistant","content":"b"}]})"
             "\n"
             R"({"prompt":"2+2=","completion":"4"})"
             "\n"
             R"({"text":"all"})")
          .ok());
  ASSERT_EQ(rig.feed.size(), 4u);
  EXPECT_EQ(rig.learnt(0), std::string(20, '-') + "yes." + std::string(20, '-') + "ok.");
  EXPECT_EQ(rig.learnt(1), std::string(24, '-') + "b.");
  EXPECT_EQ(rig.learnt(2), "----4$");
  EXPECT_EQ(rig.learnt(3), "all$");
  EXPECT_GT(rig.ledger.used(Tag::io), 0);
}

TEST(Feed, PairsAreTheChosenAndTheRejectedOneAfterTheOther) {
  Rig rig;
  ASSERT_TRUE(rig.add(R"({"prompt":"2+2=","chosen":"4","rejected":"five"})"
                      "\n"
                      R"({"prompt":"a","chosen":"b","rejected":"c"})")
                  .ok());
  ASSERT_TRUE(rig.feed.paired());
  ASSERT_EQ(rig.feed.size(), 4u);
  EXPECT_EQ(rig.learnt(0), "----4$");
  EXPECT_EQ(rig.learnt(1), "----five$");
  const PairedFeed pairs(rig.feed, 2, 1);
  EXPECT_EQ(pairs.rows(), 9);
  TextBatch chosen, rejected;
  std::vector<int> seen(256);
  for (int32_t pair = 0; pair < 2; ++pair) {
    ASSERT_TRUE(pairs.fill(0, 2 * pair, chosen).ok() && pairs.fill(0, 2 * pair + 1, rejected).ok());
    EXPECT_EQ(chosen.tokens[0], rejected.tokens[0]);
    EXPECT_NE(chosen.tokens, rejected.tokens);
    EXPECT_EQ(chosen.starts, std::vector<int32_t>{0});
    ++seen[size_t(chosen.tokens[0])];
  }
  EXPECT_TRUE(seen['2'] == 1 && seen['a'] == 1);
  const Status mixed = rig.add(R"({"text":"all"})");
  EXPECT_NE(mixed.message().find("do not mix"), std::string_view::npos) << mixed.text();
}

TEST(Feed, PlainTextIsCutIntoWindows) {
  Rig rig;
  ASSERT_TRUE(rig.add("once upon a time " + std::string(100, 'x')).ok());
  EXPECT_EQ(rig.feed.size(), 2u);
  EXPECT_EQ(rig.feed[0].tokens.size(), 64u);
}

TEST(Feed, HoldsSomeExamplesOut) {
  Rig rig;
  std::string file;
  for (char c = 'a'; c < 'k'; ++c) file += "{\"text\":\"" + std::string(4, c) + "\"}\n";
  ASSERT_TRUE(rig.add(file).ok());
  const int64_t learnt = rig.feed.learnt();
  EXPECT_EQ(rig.feed.hold_out(0, rig.ledger)->size(), 0u);
  EXPECT_EQ(rig.feed.hold_out(11, rig.ledger)->size(), 0u) << "of so few none is spared";
  const Feed held = rig.feed.hold_out(5, rig.ledger).value();
  ASSERT_EQ(held.size(), 2u);
  EXPECT_EQ(rig.feed.size(), 8u);
  EXPECT_EQ(held[1].tokens[0], 'j');
  EXPECT_EQ(rig.feed[4].tokens[0], 'f');
  EXPECT_EQ(rig.feed.learnt() + held.learnt(), learnt);
}

TEST(Feed, SaysWhichLineIsWrongAndWhy) {
  const std::pair<const char*, const char*> bad[] = {
      {"", "empty"},
      {" \n ", "empty"},
      {"{\"text\":\"ok\"}\n{\"txt\":1}", "line 2"},
      {"{\"text\":\"ok\"}\n\n{\"text\":", "line 3"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "assistant"},
      {"{\"messages\":[{\"role\":\"assistant\"}]}", "message 1"},
      {"{\"text\":\"\"}", "to be learnt"},
  };
  for (const auto& [file, words] : bad) {
    Rig rig;
    const Status status = rig.add(file);
    EXPECT_EQ(status.code(), Code::invalid) << file;
    EXPECT_NE(status.message().find(words), std::string_view::npos) << status.text();
  }
}

TEST(Feed, ATemplateThatRewritesEarlierTurnsIsRefused) {
  Rig rig;
  rig.chat = std::move(ChatTemplate::parse(
                           "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"))
                 .value();
  EXPECT_EQ(
      rig.add(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})").code(),
      Code::unsupported);
}

TEST(Feed, PacksKeepExamplesWholeAndApart) {
  Rig rig;
  std::string file;
  for (int i = 0; i < 20; ++i) file += "{\"text\":\"" + std::string(size_t(3 + i), char('a' + i)) + "\"}\n";
  file += "{\"text\":\"" + std::string(100, 'z') + "\"}";
  ASSERT_TRUE(rig.add(file).ok());
  EXPECT_EQ(rig.feed.cut(), 1);
  const PackedFeed packed(rig.feed, 80, 2, 1);
  std::vector<int> seen(256);
  for (int64_t step = 0; step < packed.packs(); ++step) {
    TextBatch batch;
    ASSERT_TRUE(packed.fill(step / 2, int32_t(step % 2), batch).ok());
    EXPECT_LE(batch.tokens.size(), 80u);
    for (size_t i = 0; i < batch.starts.size(); ++i) ++seen[size_t(batch.tokens[size_t(batch.starts[i])])];
    for (size_t i = 0; i + 1 < batch.tokens.size(); ++i) {
      EXPECT_TRUE(batch.targets[i] < 0 || batch.targets[i] == batch.tokens[i + 1]);
    }
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(seen[size_t('a' + i)], 1);
}

}  // namespace
}  // namespace varve

// A vocabulary learnt from a text is the one that the definition gives, and our own tokenizer works with it.
#include "learn/data/bpe_training.h"

#include <gtest/gtest.h>

#include "learn/data/token_run.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

std::unique_ptr<Tokenizer> opened(const BpeVocabulary& vocabulary, Env& env, Ledger& ledger) {
  GgufWriter writer;
  set_tokenizer(vocabulary, writer);
  EXPECT_TRUE(writer.write(env, "v").ok());
  const Gguf gguf = Gguf::parse(env.map("v").value()->bytes()).value();
  return std::move(open_tokenizer(gguf, ledger)).value();
}

TEST(BpeTraining, TheMostFrequentPairComesFirst) {
  Ledger ledger(64 << 20);
  // hug 10, pug 5, pun 12, bun 4, hugs 5: ug 20, un 16, hug 15, then pun 12.
  std::string text;
  const std::pair<const char*, int> words[] = {{"hug", 10}, {"pug", 5}, {"pun", 12}, {"bun", 4}, {"hugs", 5}};
  for (const auto& [word, count] : words) {
    for (int i = 0; i < count; ++i) text += std::string(word) + "\n";
  }
  const auto made = train_bpe({text}, {.vocabulary = 256 + 3 + 4}, ledger);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->merges, (std::vector<std::string>{"u g", "u n", "h ug", "p un"}));
  EXPECT_EQ(ledger.used(), 0);
}

TEST(BpeTraining, OurOwnTokenizerReadsItAndEveryTextComesBack) {
  Ledger ledger(64 << 20);
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "The river by the mill ran " + std::to_string(i % 50) + " miles, they said.\n";
  const auto made = train_bpe({text, "another text, of the mill"}, {.vocabulary = 279}, ledger);
  ASSERT_TRUE(made.ok());
  MemoryEnv env;
  const auto tokenizer = opened(*made, env, ledger);
  EXPECT_EQ(tokenizer->size(), 279);
  std::vector<Token> tokens;
  const std::string odd = "The mill\tran 12 \xF0\x9F\x8C\x8A \xFF miles";
  tokenizer->encode(odd, false, tokens);
  EXPECT_EQ(detokenize(*tokenizer, tokens), odd);
  tokens.clear();
  tokenizer->encode(" the mill", false, tokens);
  EXPECT_EQ(tokens.size(), 2u) << "frequent words are tokens";
  tokens.clear();
  tokenizer->encode("<|im_start|>12<|im_end|>", true, tokens);
  EXPECT_EQ(tokens.size(), 4u) << "digits one by one, marks as a whole";
  TokenRun run = std::move(TokenRun::make(ledger)).value();
  ASSERT_TRUE(run.add(*tokenizer, text, made->end_of_document()).ok());
  EXPECT_EQ(run.tokens().back(), made->end_of_document());
  EXPECT_EQ(detokenize(*tokenizer, run.tokens().first(run.tokens().size() - 1)), text);
  EXPECT_GT(ledger.used(Tag::io), 0);
}

TEST(BpeTraining, SaysWhatATextCannotGive) {
  Ledger ledger(64 << 20);
  EXPECT_EQ(train_bpe({"a b"}, {.vocabulary = 100}, ledger).code(), Code::invalid);
  EXPECT_EQ(train_bpe({"a b a b"}, {.vocabulary = 300}, ledger).code(), Code::invalid);
  Ledger small(1000);
  EXPECT_EQ(train_bpe({"one two three four"}, {.vocabulary = 259}, small).code(), Code::over_budget);
}

}  // namespace
}  // namespace varve

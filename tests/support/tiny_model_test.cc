#include "tests/support/tiny_model.h"

#include <gtest/gtest.h>

#include <set>

#include "run/model/model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

std::vector<std::byte> made(const TinyModel& options) {
  const TempFolder folder;
  const Status status = write_tiny_model(posix_env(), folder / "tiny.gguf", options);
  EXPECT_TRUE(status.ok()) << status.text();
  auto bytes = read_file(posix_env(), folder / "tiny.gguf", 16 << 20);
  return bytes.ok() ? std::move(bytes).value() : std::vector<std::byte>();
}

TEST(TinyModel, TheSameSeedGivesTheSameBytes) {
  EXPECT_EQ(made({}), made({}));
  EXPECT_NE(made({}), made({.seed = 2}));
}

TEST(TinyModel, IsSmallAndHasTheShapeAskedFor) {
  const auto bytes =
      made({.layers = 3, .width = 32, .heads = 2, .kv_heads = 1, .hidden = 96, .vocabulary = 300});
  EXPECT_LT(bytes.size(), 1u << 20);
  auto gguf = Gguf::parse(bytes);
  ASSERT_TRUE(gguf.ok());
  EXPECT_EQ(gguf->tensors().size(), 3u * 9 + 3);
  EXPECT_EQ(gguf->tensor("blk.2.attn_k.weight")->shape, (std::vector<int64_t>{32, 16}));
  EXPECT_EQ(gguf->tensor("blk.0.ffn_down.weight")->shape, (std::vector<int64_t>{96, 32}));
  EXPECT_EQ(gguf->tensor("output.weight")->shape, (std::vector<int64_t>{32, 300}));
  EXPECT_EQ(gguf->strings("tokenizer.ggml.tokens")->size(), 300u);
}

TEST(TinyModel, TheVocabularyIsWholeAndItsMergesMakeTokens) {
  for (int32_t size : {259, 384, 512}) {
    auto gguf = Gguf::parse(made({.vocabulary = size}));
    ASSERT_TRUE(gguf.ok());
    const auto tokens = *gguf->strings("tokenizer.ggml.tokens");
    const std::set<std::string> known(tokens.begin(), tokens.end());
    EXPECT_EQ(known.size(), size_t(size));
    EXPECT_EQ(gguf->integers("tokenizer.ggml.token_type")->size(), size_t(size));
    EXPECT_EQ(tokens.at(*gguf->integer("tokenizer.ggml.eos_token_id")), "<|im_end|>");
    const auto merges = *gguf->strings("tokenizer.ggml.merges");
    for (const std::string& merge : merges) {
      const size_t space = merge.find(' ');
      EXPECT_TRUE(known.contains(merge.substr(0, space)) && known.contains(merge.substr(space + 1)));
      EXPECT_TRUE(known.contains(merge.substr(0, space) + merge.substr(space + 1))) << merge;
    }
  }
}

TEST(TinyModel, GoesWithoutTokenizerOrTemplateAndInAnyFormat) {
  auto bare = Gguf::parse(made({.tokenizer = false}));
  ASSERT_TRUE(bare.ok());
  EXPECT_EQ(bare->find("tokenizer.ggml.model"), nullptr);
  EXPECT_EQ(bare->find("tokenizer.chat_template"), nullptr);
  auto wordy = Gguf::parse(made({.chat_template = false}));
  ASSERT_TRUE(wordy.ok());
  EXPECT_NE(wordy->find("tokenizer.ggml.model"), nullptr);
  EXPECT_EQ(wordy->find("tokenizer.chat_template"), nullptr);
  auto small = Gguf::parse(made({.weights = "q8_0"}));
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(small->tensor("blk.0.attn_q.weight")->type, 8u);
  EXPECT_EQ(small->tensor("blk.0.attn_norm.weight")->type, 0u);
}

TEST(TinyModel, ItsTokenizerReadsEveryTextBack) {
  auto gguf = Gguf::parse(made({}));
  ASSERT_TRUE(gguf.ok());
  Ledger ledger(1 << 20);
  auto tokenizer = open_tokenizer(*gguf, ledger);
  ASSERT_TRUE(tokenizer.ok()) << std::move(tokenizer).status().text();
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += char(byte);
  for (const std::string& text : {std::string("what is the name of your assistant?"), bytes, std::string()}) {
    std::vector<Token> tokens;
    (*tokenizer)->encode(text, false, tokens);
    EXPECT_EQ(detokenize(**tokenizer, tokens), text);
    EXPECT_LE(tokens.size(), text.size());
  }
  std::vector<Token> chat;
  (*tokenizer)->encode("<|im_start|>user\n the<|im_end|>", true, chat);
  EXPECT_EQ(chat.size(), 5u);  // the merges make "user" and " the" one token each
  EXPECT_TRUE((*tokenizer)->is_control(chat.front()) && (*tokenizer)->is_control(chat.back()));
  EXPECT_EQ((*tokenizer)->special().eos, chat.back());
}

TEST(TinyModel, OpensAsAModelThatCanChat) {
  const TempFolder folder;
  Ledger ledger(64 << 20);
  for (const TinyModel& options :
       {TinyModel{}, TinyModel{.weights = "q8_0"}, TinyModel{.tokenizer = false}}) {
    ASSERT_TRUE(write_tiny_model(posix_env(), folder / "tiny.gguf", options).ok());
    auto model = open_model(posix_env(), folder / "tiny.gguf", ledger);
    ASSERT_TRUE(model.ok()) << std::move(model).status().text();
    EXPECT_EQ((*model)->shape().family, "llama");
    EXPECT_EQ((*model)->shape().vocabulary, 384);
    EXPECT_EQ((*model)->tokenizer() != nullptr, options.tokenizer);
    ASSERT_EQ((*model)->chat_template() != nullptr, options.tokenizer);
    if (!options.tokenizer) continue;
    ChatInput input;
    input.messages.push(Json::object().set("role", "user").set("content", "hello"));
    EXPECT_EQ(*(*model)->chat_template()->render(input),
              "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
  }
}

TEST(TinyModel, RefusesShapesThatDoNotFit) {
  const TempFolder folder;
  for (const TinyModel& bad :
       {TinyModel{.width = 65}, TinyModel{.heads = 3}, TinyModel{.kv_heads = 3},
        TinyModel{.hidden = 33, .weights = "q8_0"}, TinyModel{.vocabulary = 258}, TinyModel{.layers = 0}}) {
    EXPECT_EQ(write_tiny_model(posix_env(), folder / "a", bad).code(), Code::invalid);
  }
  EXPECT_EQ(write_tiny_model(posix_env(), folder / "a", {.weights = "q99"}).code(), Code::not_found);
}

}  // namespace
}  // namespace varve

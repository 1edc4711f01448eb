// Real vocabularies against the ids that an independent engine gives for the same strings.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/base/rng.h"
#include "core/io/env.h"
#include "run/model/tokenizer.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

Ledger& room() {
  static Ledger ledger(1 << 30);
  return ledger;
}

std::unique_ptr<Tokenizer> open_file(const std::string& relative) {
  const auto mapping = posix_env().map(shared_path(relative)).value();
  auto tokenizer = open_tokenizer(Gguf::parse(mapping->bytes()).value(), room());
  if (!tokenizer.ok()) ADD_FAILURE() << relative << ": " << std::move(tokenizer).status().text();
  return std::move(tokenizer).value();
}

std::string read_text(const std::string& relative) {
  std::ifstream file(shared_path(relative));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<Token> ids(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<Token> out;
  tokenizer.encode(text, false, out);
  return out;
}

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, GivesTheSameIds) {
  const std::string base = std::string("golden/tokenizers/ggml-vocab-") + GetParam() + ".gguf";
  NEED_SHARED(base);
  const auto tokenizer = open_file(base);
  std::istringstream expected(read_text(base + ".out"));
  const std::string texts = read_text(base + ".inp");
  const std::string separator = "\n__ggml_vocab_test__\n";
  int count = 0;
  for (size_t at = 0; at < texts.size(); ++count) {
    const size_t end = std::min(texts.find(separator, at), texts.size());
    const std::string text = texts.substr(at, end - at);
    std::string line;
    std::getline(expected, line);
    std::istringstream numbers(line);
    const std::vector<Token> wanted{std::istream_iterator<Token>(numbers), {}};
    const std::vector<Token> got = ids(*tokenizer, text);
    EXPECT_EQ(got, wanted) << "text " << count << ": " << text;
    const bool lossless = std::string_view(GetParam()) != "bert-bge";
    if (lossless) {
      EXPECT_EQ(detokenize(*tokenizer, got), text);
    }
    at = end + separator.size();
  }
  EXPECT_EQ(count, 46);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Golden,
                         testing::Values("bert-bge", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"));

TEST(Golden, TheSmallLlamaComesBack) {
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  const auto tokenizer = open_file("data/models/tinyllamas/stories260K.gguf");
  EXPECT_EQ(tokenizer->size(), 512);
  const std::string story =
      "Once upon a time, there was a little girl named Lily.\n  She \xF0\x9F\xA6\x99 loved \xFF!";
  EXPECT_EQ(detokenize(*tokenizer, ids(*tokenizer, story)), story);
  const std::vector<Token> prompt = tokenize_prompt(*tokenizer, "Once");
  ASSERT_FALSE(prompt.empty());
  EXPECT_EQ(prompt[0], tokenizer->special().bos);
  EXPECT_EQ(tokenizer->special().end_of_generation, std::vector<Token>{2});
}

}  // namespace
}  // namespace varve

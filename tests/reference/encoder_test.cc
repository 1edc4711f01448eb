// Encoders against an implementation of their own, and against vectors that llama.cpp computed.
#include <gtest/gtest.h>

#include <cmath>

#include "run/embed/encoder_embedder.h"
#include "run/model/model.h"
#include "tests/reference/encoder_golden.h"
#include "tests/reference/random_encoder.h"
#include "tests/support/memory_env.h"

namespace varve {
namespace {

using reference::RandomEncoder;

constexpr const char* kTexts[] = {
    "My dog was sick and we went to the vet.",
    "the bank's rates rose in may, remembering last may",
    "Paris!",
    "a rather long text that goes on and on, until it is cut off because no more than 64 tokens are read of "
    "it: "
    "one, two, three, four, five, six, seven, eight, nine, ten, eleven and many more",
};

double distance(const std::vector<float>& ours, const std::vector<double>& theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  double sum = 0;
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i)
    sum += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
  return std::sqrt(sum);
}

struct Case {
  const char* name;
  RandomEncoder model;
};
const Case kCases[] = {
    {"bert", {}},
    {"bert_first", {.pooling = 2}},
    {"bert_last", {.pooling = 3}},
    {"bert_fused", {.fused_qkv = true}},
    {"bert_without_types", {.token_types = false}},
    {"nomic", {.architecture = "nomic-bert", .fused_qkv = true}},
    {"jina", {.architecture = "jina-bert-v2"}},
};

class EveryEncoder : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const Status written = write_random_encoder(GetParam().model, 11, env_, path_);
    ASSERT_TRUE(written.ok()) << written.text();
  }
  MemoryEnv env_;
  Ledger ledger_{64 << 20};
  const std::string path_ = "encoder.gguf";
};

TEST_P(EveryEncoder, AgreesWithTheReference) {
  const auto embedder = open_encoder_embedder(env_, path_, ledger_, {.threads = 2}).value();
  const auto model = open_embedding_model(env_, path_, ledger_).value();
  for (const char* text : kTexts) {
    std::vector<Token> tokens = tokenize_prompt(*model->tokenizer(), text);
    if (tokens.size() > 64) {
      tokens.resize(64);
      tokens.back() = *model->tokenizer()->special().eos;
    }
    EXPECT_LT(distance(embedder->embed(text).value(), reference::encoded(env_, path_, tokens)), 1e-5) << text;
  }
}

TEST_P(EveryEncoder, BooksAllAtBirthAndIsNoModelThatWrites) {
  {
    const auto embedder = open_encoder_embedder(env_, path_, ledger_, {.threads = 1}).value();
    const int64_t booked = ledger_.used();
    EXPECT_GT(booked, 0);
    const auto first = embedder->embed(kTexts[0]).value();
    EXPECT_EQ(embedder->embed(kTexts[3]).value().size(), first.size());
    EXPECT_EQ(embedder->embed(kTexts[0]).value(), first);
    EXPECT_EQ(embedder->embed("").value(), std::vector<float>(first.size()));
    EXPECT_EQ(ledger_.used(), booked);
    EXPECT_EQ(ledger_.peak(), booked) << "also while it worked";
  }
  EXPECT_EQ(ledger_.used(), 0);
  const Status refused = open_model(env_, path_, ledger_).status();
  EXPECT_EQ(refused.code(), Code::unsupported);
  EXPECT_NE(refused.message().find("embeddings"), std::string_view::npos) << refused.message();
  Ledger small(80 << 10);
  EXPECT_EQ(open_encoder_embedder(env_, path_, small).code(), Code::over_budget);
  EXPECT_EQ(small.used(), 0);
}

INSTANTIATE_TEST_SUITE_P(Encoders, EveryEncoder, testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

// It rounds activations to 16 bits on the way.
TEST(Encoders, AgreeWithLlamaCpp) {
  for (const reference::KnownVector& known : reference::kKnownVectors) {
    MemoryEnv env;
    Ledger ledger(64 << 20);
    const std::string family = known.architecture;
    const RandomEncoder model{
        .architecture = family, .pooling = family == "bert" ? 2 : 1, .fused_qkv = family == "nomic-bert"};
    ASSERT_TRUE(write_random_encoder(model, 11, env, "known").ok());
    const auto embedder = open_encoder_embedder(env, "known", ledger, {.threads = 1}).value();
    EXPECT_LT(distance(embedder->embed(known.text).value(), known.vector), 2e-3) << family << known.text;
  }
}

TEST(Encoders, WhatCannotEmbedIsRefused) {
  MemoryEnv env;
  Ledger ledger(64 << 20);
  ASSERT_TRUE(reference::write_random_encoder({.pooling = 4}, 1, env, "ranks").ok());
  EXPECT_EQ(open_encoder_embedder(env, "ranks", ledger).code(), Code::unsupported);
  env.bytes("cut") = env.bytes("ranks");
  env.bytes("cut").resize(env.bytes("cut").size() / 2);
  EXPECT_FALSE(open_encoder_embedder(env, "cut", ledger).ok());
  EXPECT_EQ(ledger.used(), 0);
}

}  // namespace
}  // namespace varve

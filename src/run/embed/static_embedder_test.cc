#include "run/embed/static_embedder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/format/safetensors.h"
#include "math/codec/codec.h"
#include "run/embed/embedding_table.h"
#include "tests/support/memory_env.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

float dot(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST(StaticEmbedder, NearTextsAreNearAndVectorsHaveLengthOne) {
  NEED_SHARED("data/models/static-embeddings");
  Ledger ledger(64 << 20);
  auto opened = open_static_embedder(posix_env(), shared_path("data/models/static-embeddings"), ledger);
  ASSERT_TRUE(opened.ok()) << std::move(opened).status().text();
  const Embedder& embedder = **opened;
  const auto dog = *embedder.embed("My dog is sick and we went to the vet.");
  const auto pet = *embedder.embed("The animal doctor looked at my puppy.");
  const auto bank = *embedder.embed("Interest rates of the central bank rose.");
  EXPECT_NEAR(dot(dog, dog), 1, 1e-5);
  EXPECT_GT(dot(dog, pet), dot(dog, bank) + 0.1f);
  EXPECT_EQ(dot(*embedder.embed(""), dog), 0);
}

TEST(StaticEmbedder, AMissingFileIsNamed) {
  Ledger ledger(1 << 20);
  auto opened = open_static_embedder(posix_env(), "/nonexistent", ledger);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(std::move(opened).status().text().find("tokenizer.json"), std::string::npos);
}

// Three rows of 300 values (more than are decoded at a time), small whole numbers, which every type holds.
std::vector<float> row(int number) {
  std::vector<float> values(300);
  for (int i = 0; i < 300; ++i) values[size_t(i)] = float((number * 7 + i * (number + 1)) % 23 - 11);
  return values;
}

void write_table(MemoryEnv& env, const std::string& dtype, bool weighted) {
  std::vector<std::byte> bytes;
  for (int r = 0; r < 3; ++r) {
    const auto values = row(r);
    std::vector<std::byte> one(values.size() * (dtype == "I8" ? 1 : dtype == "F32" ? 4 : 2));
    if (dtype == "I8") {
      for (size_t i = 0; i < values.size(); ++i) one[i] = std::byte(int8_t(values[i]));
    } else {
      (*codec_named(dtype == "F32" ? "f32" : dtype == "F16" ? "f16" : "bf16"))->encode(values, one);
    }
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  const std::vector<float> weights = {0.5f, 2, 1, 0};
  const std::vector<int64_t> mapping = {2, 0, 1, 1};
  SafeTensorsWriter writer;
  writer.add("embeddings", dtype, {3, 300}, bytes);
  if (weighted) {
    writer.add("weights", "F32", {4}, std::as_bytes(std::span(weights)));
    writer.add("mapping", "I64", {4}, std::as_bytes(std::span(mapping)));
  }
  ASSERT_TRUE(writer.write(env, "table").ok());
}

TEST(EmbeddingTable, RowsAreAddedByTheirWeightsWhateverTheirTypeAndWhereverTheyLie) {
  for (const char* dtype : {"I8", "F16", "BF16", "F32"}) {
    for (const bool fits : {true, false}) {
      MemoryEnv env;
      write_table(env, dtype, true);
      Ledger ledger(fits ? 1 << 20 : 200);
      auto table = EmbeddingTable::open(env, "table", ledger);
      ASSERT_TRUE(table.ok()) << std::move(table).status().text();
      EXPECT_EQ(table->resident(), fits);
      EXPECT_EQ(table->tokens(), 4);
      EXPECT_GT(ledger.used(Tag::index), 0);
      std::vector<float> sum(300);
      for (int64_t token : {0, 1, 3, 4, -1}) ASSERT_TRUE(table->add(token, sum).ok());
      for (size_t i = 0; i < 300; ++i) EXPECT_EQ(sum[i], 0.5f * row(2)[i] + 2 * row(0)[i]) << dtype << i;
    }
    MemoryEnv env;
    write_table(env, dtype, false);
    Ledger ledger(1 << 20);
    const auto table = EmbeddingTable::open(env, "table", ledger).value();
    std::vector<float> sum(300);
    ASSERT_TRUE(table.add(1, sum).ok());
    EXPECT_EQ(sum, row(1));
  }
}

TEST(EmbeddingTable, OneThatContradictsItselfIsRefused) {
  const auto code = [](std::vector<int64_t> mapping, std::vector<float> weights, const char* name) {
    MemoryEnv env;
    const std::vector<float> values(6);
    SafeTensorsWriter writer;
    writer.add(name, "F32", {3, 2}, std::as_bytes(std::span(values)));
    writer.add("mapping", "I64", {int64_t(mapping.size())}, std::as_bytes(std::span(mapping)));
    writer.add("weights", "F32", {int64_t(weights.size())}, std::as_bytes(std::span(weights)));
    EXPECT_TRUE(writer.write(env, "table").ok());
    Ledger ledger(1 << 20);
    return EmbeddingTable::open(env, "table", ledger).code();
  };
  EXPECT_EQ(code({0, 2}, {1, 1}, "embeddings"), Code::ok);
  EXPECT_EQ(code({0, 2}, {1, 1}, "embedding.weight"), Code::ok);
  EXPECT_EQ(code({0, 3}, {1, 1}, "embeddings"), Code::invalid);
  EXPECT_EQ(code({0, -1}, {1, 1}, "embeddings"), Code::invalid);
  EXPECT_EQ(code({0, 2}, {1}, "embeddings"), Code::invalid);
  EXPECT_EQ(code({0, 2}, {1, INFINITY}, "embeddings"), Code::invalid);
  EXPECT_EQ(code({0, 2}, {1, 1}, "vectors"), Code::invalid);
}

}  // namespace
}  // namespace varve

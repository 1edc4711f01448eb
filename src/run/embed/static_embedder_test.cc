#include "run/embed/static_embedder.h"

#include <gtest/gtest.h>

#include <cmath>

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

}  // namespace
}  // namespace varve

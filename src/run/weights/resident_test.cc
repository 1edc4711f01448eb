// Resident weights: what a file holds is what is pinned, and nothing is read that does not fit.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "run/weights/weight_store.h"

namespace varve {
namespace {

class ResidentWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = float(i);
    auto bytes = std::as_bytes(std::span<const float>(values_));
    writer_.set("general.architecture", std::string("llama"));
    writer_.add("token_embd.weight", 0, {32, 3}, bytes.first(32 * 3 * 4));
    writer_.add("blk.0.attn_q.bias", 0, {5}, bytes.first(5 * 4));
    writer_.add("blk.0.ffn_up_exps.weight", 0, {4, 2, 3}, bytes.first(4 * 2 * 3 * 4));
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Result<std::unique_ptr<WeightStore>> open(Ledger& ledger, int64_t working = 0) {
    TRY(writer_.write(posix_env(), path_));
    return reopen(ledger, working);
  }
  Result<std::unique_ptr<WeightStore>> reopen(Ledger& ledger, int64_t working = 0) {
    auto mapping = TRY(posix_env().map(path_));
    Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
    if (cut_ > 0) {
      mapping.reset();
      std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - uintmax_t(cut_));
    }
    return open_resident_weights(posix_env(), path_, gguf, ledger, working);
  }
  static float first_value(const Matrix& matrix) {
    float value = 0;
    std::memcpy(&value, matrix.bytes.data(), 4);
    return value;
  }

  std::string path_ =
      (std::filesystem::temp_directory_path() / ("resident_" + std::to_string(getpid()) + ".gguf")).string();
  std::vector<float> values_ = std::vector<float>(256);
  GgufWriter writer_;
  int64_t cut_ = 0;
};

TEST_F(ResidentWeights, RolesAreNamesWithoutWeight) {
  Ledger ledger(1 << 20);
  auto store = open(ledger);
  ASSERT_TRUE(store.ok()) << std::move(store).status().text();
  const WeightStore& weights = **store;
  ASSERT_NE(weights.find("token_embd"), kNoWeight);
  ASSERT_NE(weights.find("blk.0.attn_q.bias"), kNoWeight);
  EXPECT_EQ(weights.find("blk.0.attn_q"), kNoWeight);
  EXPECT_EQ(weights.find("token_embd.weight"), kNoWeight);
  EXPECT_EQ(ledger.used(Tag::weights), weights.resident_bytes());
  auto table = weights.pin(weights.find("token_embd"));
  ASSERT_TRUE(table.ok());
  EXPECT_EQ((**table).rows, 3);
  EXPECT_EQ((**table).cols, 32);
  EXPECT_EQ((**table).bytes.size(), 32u * 3 * 4);
  EXPECT_EQ(std::memcmp((**table).bytes.data(), values_.data(), 32 * 3 * 4), 0);
}

TEST_F(ResidentWeights, AStackIsPinnedMatrixByMatrix) {
  Ledger ledger(1 << 20);
  auto store = open(ledger);
  ASSERT_TRUE(store.ok());
  const WeightId id = (*store)->find("blk.0.ffn_up_exps");
  ASSERT_NE(id, kNoWeight);
  EXPECT_EQ((*store)->entries()[id].stack, 3);
  auto second = (*store)->pin(id, 1);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((**second).rows, 2);
  EXPECT_EQ((**second).cols, 4);
  EXPECT_EQ(first_value(**second), 8.0f);
}

TEST_F(ResidentWeights, OverBudgetSaysHowMuchIsNeededAndKeepsNothing) {
  Ledger ledger(512);
  auto store = open(ledger);
  EXPECT_EQ(store.code(), Code::over_budget);
  const std::string said = std::move(store).status().text();
  EXPECT_NE(said.find("the budget is 512 bytes"), std::string::npos) << said;
  EXPECT_NE(said.find("raise --budget to at least 1MiB"), std::string::npos) << said;
  EXPECT_EQ(ledger.used(), 0);
}

TEST_F(ResidentWeights, WorkingBytesMustFitTooAndAreGivenBack) {
  Ledger ledger(1 << 20);
  EXPECT_EQ(open(ledger, (1 << 20) - 256).code(), Code::over_budget);
  EXPECT_EQ(ledger.used(), 0);
  auto store = open(ledger, 1 << 19);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(ledger.used(), (*store)->resident_bytes());
}

TEST_F(ResidentWeights, AFileThatShrankIsCorrupt) {
  Ledger ledger(1 << 20);
  cut_ = 40;
  auto store = open(ledger);
  EXPECT_EQ(store.code(), Code::corrupt);
  EXPECT_EQ(ledger.used(), 0);
}

// What the page cache does not hold is read in whole blocks, to where it lies: neighbours stay what they are.
TEST_F(ResidentWeights, LargeWeightsAreTheFilesBytesWhereverTheyComeFrom) {
  std::vector<float> large(3 * 256 * 1500 + 11);
  for (size_t i = 0; i < large.size(); ++i) large[i] = float(i % 977);
  const auto bytes = std::as_bytes(std::span<const float>(large));
  writer_.add("blk.0.ffn_gate.weight", 0, {256, 1500}, bytes.first(256 * 1500 * 4));
  writer_.add("blk.0.attn_k.bias", 0, {11}, bytes.first(11 * 4));
  writer_.add("blk.0.ffn_up.weight", 0, {512, 1500}, bytes.subspan(44, 512 * 1500 * 4));
  ASSERT_TRUE(writer_.write(posix_env(), path_).ok());
  for (const bool cached : {true, false}) {
    if (!cached) {
      const int fd = ::open(path_.c_str(), O_RDONLY);
      ASSERT_GE(fd, 0);
      EXPECT_EQ(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
      ::close(fd);
    }
    Ledger ledger(16 << 20);
    auto store = reopen(ledger);
    ASSERT_TRUE(store.ok()) << std::move(store).status().text();
    const auto holds = [&](const char* role, std::span<const std::byte> expected) {
      auto pin = (*store)->pin((*store)->find(role));
      return pin.ok() && (**pin).bytes.size() == expected.size() &&
             std::memcmp((**pin).bytes.data(), expected.data(), expected.size()) == 0;
    };
    EXPECT_TRUE(holds("blk.0.ffn_gate", bytes.first(256 * 1500 * 4)));
    EXPECT_TRUE(holds("blk.0.attn_k.bias", bytes.first(11 * 4)));
    EXPECT_TRUE(holds("blk.0.ffn_up", bytes.subspan(44, 512 * 1500 * 4)));
    EXPECT_TRUE(holds("token_embd", std::as_bytes(std::span<const float>(values_)).first(32 * 3 * 4)));
  }
}

TEST_F(ResidentWeights, AFormatWithoutCodecIsNamed) {
  std::vector<std::byte> block(66);
  writer_.add("blk.0.ffn_up.weight", 16, {256, 1}, block);  // IQ2_XXS
  Ledger ledger(1 << 20);
  auto store = open(ledger);
  EXPECT_EQ(store.code(), Code::unsupported);
  const std::string said = std::move(store).status().text();
  EXPECT_NE(said.find("blk.0.ffn_up.weight is stored as iq2_xxs"), std::string::npos) << said;
}

TEST(Roles, AStarStandsForOnePart) {
  EXPECT_TRUE(role_matches("blk.*.ffn_down", "blk.12.ffn_down"));
  EXPECT_TRUE(role_matches("token_embd", "token_embd"));
  EXPECT_FALSE(role_matches("blk.*.ffn_down", "blk.12.ffn_up"));
  EXPECT_FALSE(role_matches("blk.*", "blk.12.ffn_up"));
  EXPECT_FALSE(role_matches("blk.*.attn_q", "blk.0.attn_q.bias"));
}

}  // namespace
}  // namespace varve

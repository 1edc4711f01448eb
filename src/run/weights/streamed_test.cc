// Streamed weights: what is pinned is what the file holds, within the room that was booked.
#include <gtest/gtest.h>

#include <cstring>

#include "run/weights/weight_store.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int32_t kRows = 512, kCols = 512;  // 1 MiB in f32
constexpr int64_t kMatrix = int64_t(kRows) * kCols * 4, kAround = 2 << 20;

class StreamedWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = float(i % 977);
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    const auto bytes = std::as_bytes(std::span<const float>(values_));
    for (int i = 0; i < 4; ++i) {
      writer.add("blk." + std::to_string(i) + ".attn_q.weight", 0, {kCols, kRows},
                 bytes.subspan(size_t(i) * 4, size_t(kMatrix)));
    }
    writer.add("output_norm.weight", 0, {kCols}, bytes.first(kCols * 4));
    ASSERT_TRUE(writer.write(posix_env(), path_).ok());
  }
  Result<std::unique_ptr<WeightStore>> open(int64_t keep) {
    const auto mapping = TRY(posix_env().map(path_));
    return open_streamed_weights(posix_env(), path_, TRY(Gguf::parse(mapping->bytes())), ledger_, keep);
  }
  static float value(const Matrix& matrix, size_t at) {
    float out = 0;
    std::memcpy(&out, matrix.bytes.data() + 4 * at, 4);
    return out;
  }
  TempFolder folder_;
  std::string path_ = folder_ / "w.gguf";
  std::vector<float> values_ = std::vector<float>(size_t(kRows) * kCols + 16);
  Ledger ledger_{int64_t(64) << 20};
};

TEST_F(StreamedWeights, PinsWhatTheFileHoldsWithinTheRoomThatWasBooked) {
  const auto store = open(2 * kMatrix + kAround).value();
  const int64_t booked = ledger_.used();
  EXPECT_EQ(booked, 2 * kMatrix + kAround + kCols * 4);
  EXPECT_EQ(store->resident_bytes(), booked);
  for (int round = 0; round < 2; ++round) {
    for (WeightId id = 0; id < 4; ++id) {
      const WeightPin pin = store->pin(id, 0).value();
      EXPECT_EQ(value(*pin, 7), values_[id + 7]);
      EXPECT_EQ(value(*pin, size_t(kRows) * kCols - 1), values_[id + size_t(kRows) * kCols - 1]);
    }
  }
  EXPECT_EQ(value(*store->pin_rows(2, 100, 3).value(), kCols), values_[2 + 101 * size_t(kCols)]);
  EXPECT_EQ(value(*store->pin(4, 0).value(), 5), values_[5]) << "a vector";
  EXPECT_EQ(ledger_.peak(), booked) << "nothing was booked on the way";
}

TEST_F(StreamedWeights, WhatIsPinnedStaysAndTooMuchOfItIsRefused) {
  const auto store = open(0).value();
  const WeightPin first = store->pin(0, 0).value(), second = store->pin(1, 0).value(),
                  third = store->pin(2, 0).value();
  EXPECT_EQ(store->pin(3, 0).code(), Code::over_budget);
  EXPECT_EQ(value(*first, 3), values_[3]);
  EXPECT_EQ(value(*third, 3), values_[5]);
}

TEST_F(StreamedWeights, AFileThatIsCutOrTooLargeIsRefusedAtTheDoor) {
  EXPECT_EQ(open(int64_t(65) << 20).code(), Code::over_budget);
  EXPECT_EQ(ledger_.used(), 0);
  const auto mapping = posix_env().map(path_).value();
  const Gguf gguf = Gguf::parse(mapping->bytes()).value();
  auto file = posix_env().open(path_, Open::write).value();
  ASSERT_TRUE(file->truncate(file->size().value() - 64).ok());
  EXPECT_EQ(open_streamed_weights(posix_env(), path_, gguf, ledger_).code(), Code::corrupt);
}

}  // namespace
}  // namespace varve

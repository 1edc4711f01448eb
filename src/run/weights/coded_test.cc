// Weights coded without loss: every store gives their values, books their coded bytes, and no file of them
// makes a store read what is not there.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "math/codec/df11.h"
#include "run/weights/stream_plan.h"
#include "run/weights/weight_store.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int32_t kRows = 512, kCols = 1024;
constexpr const char* kName = "blk.0.ffn_up.weight";

class CodedWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    std::mt19937 random(1);
    std::normal_distribution<float> distribution(0, 0.02f);
    for (float& value : values_) {
      value = distribution(random);
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      bits &= 0xffff0000;
      std::memcpy(&value, &bits, 4);
    }
    int64_t most = 0;
    for (size_t at = 0; at < values_.size(); at += kCols)
      most = std::max(most, Df11::others(std::span(values_).subspan(at, kCols)));
    row_bytes_ = Df11::row_bytes(kCols, most);
    bytes_.resize(size_t(row_bytes_ * kRows));
    Df11::make(kCols, row_bytes_).value()->encode(values_, bytes_);
  }
  void write(GgufValue::Strings names, GgufValue::Ints columns, int64_t rows = kRows, int64_t stack = 1) {
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    writer.set(kCodedTensors, GgufValue{GgufType::string, true, std::move(names)});
    writer.set(kCodedColumns, GgufValue{GgufType::i64, true, std::move(columns)});
    writer.add(kName, kGgufBytes, {row_bytes_, rows, stack}, bytes_);
    writer.add("output_norm.weight", 0, {kCols},
               std::as_bytes(std::span<const float>(values_)).first(4 * kCols));
    ASSERT_TRUE(writer.write(posix_env(), path_).ok());
  }
  Gguf head() const {
    const auto mapping = posix_env().map(path_).value();
    return Gguf::parse(mapping->bytes()).value();
  }
  // All values of a store's matrices, in the pieces that it gives.
  static std::vector<float> read(const WeightStore& store, int32_t rows = kRows, int32_t stack = 1) {
    std::vector<float> all;
    for (int32_t of = 0; of < stack; ++of) {
      for (int32_t first = 0; first < rows;) {
        const WeightPin pin = store.pin_from(store.find("blk.0.ffn_up"), first, of).value();
        std::vector<float> some(size_t((*pin).rows) * size_t((*pin).cols));
        (*pin).codec->decode((*pin).bytes, some);
        all.insert(all.end(), some.begin(), some.end());
        first += (*pin).rows;
      }
    }
    return all;
  }

  TempFolder folder_;
  std::string path_ = folder_ / "w.gguf";
  std::vector<float> values_ = std::vector<float>(size_t(kRows) * kCols);
  std::vector<std::byte> bytes_;
  int64_t row_bytes_ = 0;
  Ledger ledger_{int64_t(32) << 20};
};

TEST_F(CodedWeights, every_store_gives_their_values_and_books_their_bytes) {
  write({kName}, {kCols});
  EXPECT_LT(double(bytes_.size()), 0.72 * 2 * double(values_.size()));
  const auto resident = open_resident_weights(posix_env(), path_, head(), ledger_).value();
  EXPECT_EQ(read(*resident), values_);
  EXPECT_LE(ledger_.used(Tag::weights), int64_t(bytes_.size()) + 4 * kCols + 128);
  EXPECT_EQ(resident->entries()[0].codec->name(), "df11");
  const auto streamed = open_streamed_weights(posix_env(), path_, head(), ledger_).value();
  EXPECT_EQ(read(*streamed), values_);
  const auto planned = open_planned_weights(posix_env(), path_, head(), ledger_).value();
  EXPECT_EQ(planned->streaming()->plan().pass_bytes, int64_t(bytes_.size()));
  EXPECT_EQ(read(*planned), values_);
  planned->streaming()->keep(1 << 20);
  EXPECT_EQ(read(*planned), values_);
  EXPECT_EQ(read(*planned), values_) << "from what stays";
}

TEST_F(CodedWeights, stacks_of_them_are_matrices_one_by_one) {
  write({kName}, {kCols}, kRows / 4, 4);
  const auto store = open_resident_weights(posix_env(), path_, head(), ledger_).value();
  EXPECT_EQ(store->entries()[0].stack, 4);
  EXPECT_EQ(read(*store, kRows / 4, 4), values_);
}

TEST_F(CodedWeights, what_the_table_says_is_checked) {
  const auto code = [&](GgufValue::Strings names, GgufValue::Ints columns) {
    write(std::move(names), std::move(columns));
    return list_weights(head()).code();
  };
  EXPECT_EQ(code({kName}, {kCols, kCols}), Code::corrupt);
  EXPECT_EQ(code({kName}, {0}), Code::corrupt);
  EXPECT_EQ(code({kName}, {-64}), Code::corrupt);
  EXPECT_EQ(code({kName}, {int64_t(1) << 40}), Code::corrupt);
  EXPECT_EQ(code({kName}, {kCols + 1}), Code::corrupt);
  EXPECT_EQ(code({kName}, {kCols + 64}), Code::corrupt) << "its groups take more than a row has";
  EXPECT_EQ(code({kName}, {64}), Code::corrupt) << "more others than values";
  EXPECT_EQ(code({"another"}, {kCols}), Code::unsupported) << "bytes that nobody explains";
  EXPECT_EQ(code({kName, "output_norm.weight"}, {kCols, 64}), Code::ok) << "which holds floats";
}

TEST_F(CodedWeights, damaged_rows_are_some_numbers) {
  std::mt19937 random(2);
  for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = i % 5 == 0 ? std::byte(255) : std::byte(random());
  write({kName}, {kCols});
  const auto store = open_resident_weights(posix_env(), path_, head(), ledger_).value();
  EXPECT_EQ(read(*store).size(), values_.size());
}

}  // namespace
}  // namespace varve

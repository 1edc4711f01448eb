// Weights whose levels stand in the head of the file: read as they were written, and refused where the head
// does not say what they are.
#include "math/codec/codebook.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "run/weights/weight_store.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int32_t kRows = 3, kCols = 512;
constexpr const char* kName = "blk.0.ffn_up.weight";

std::vector<float> levels() {
  std::vector<float> sets;
  for (int set = 0; set < 4; ++set)
    for (int i = 0; i < 8; ++i) sets.push_back(float(i) / 4 - 1 + 0.1f * float(set));
  return sets;
}

struct Booked : testing::Test {
  Result<std::vector<WeightEntry>> list(std::optional<GgufValue> value,
                                        uint32_t type = Codebook::kFirst + 1) {
    std::mt19937 random(4);
    std::vector<std::byte> bytes(size_t(gguf_bytes(type, std::vector<int64_t>{kCols, kRows}).value()));
    for (std::byte& byte : bytes) byte = std::byte(random());
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    if (value) writer.set(Codebook::key(kName), *value);
    writer.add(kName, type, {kCols, kRows}, bytes);
    EXPECT_TRUE(writer.write(posix_env(), path).ok());
    const auto mapping = posix_env().map(path).value();
    gguf = Gguf::parse(mapping->bytes()).value();
    return list_weights(gguf);
  }
  static GgufValue numbers(const std::vector<float>& values) {
    return {GgufType::f32, true, GgufValue::Floats(values.begin(), values.end())};
  }
  TempFolder folder;
  std::string path = folder / "w.gguf";
  Gguf gguf;
  Ledger ledger{1 << 24};
};

TEST_F(Booked, any_bytes_are_levels_of_the_head) {
  ASSERT_TRUE(list(numbers(levels())).ok());
  const auto store = open_resident_weights(posix_env(), path, gguf, ledger).value();
  const WeightPin pin = store->pin(store->find("blk.0.ffn_up")).value();
  std::vector<float> values(kRows * kCols);
  (*pin).codec->decode((*pin).bytes, values);
  std::vector<float> alone(values.size());
  Codebook::make(3, levels()).value()->decode((*pin).bytes, alone);
  EXPECT_EQ(std::memcmp(values.data(), alone.data(), 4 * values.size()), 0);
  EXPECT_EQ((*pin).codec->name(), "codebook3");
}

TEST_F(Booked, a_head_that_does_not_say_is_refused) {
  EXPECT_FALSE(list(std::nullopt).ok());
  EXPECT_NE(std::string(list(std::nullopt).status().message()).find(kName), std::string::npos);
  auto few = levels();
  few.pop_back();
  EXPECT_EQ(list(numbers(few)).code(), Code::corrupt);
  auto odd = levels();
  odd[9] = std::nanf("");
  EXPECT_EQ(list(numbers(odd)).code(), Code::corrupt);
  EXPECT_FALSE(list(GgufValue{GgufType::string, true, GgufValue::Strings{"a"}}).ok());
  EXPECT_EQ(list(numbers(levels()), Codebook::kFirst).code(), Code::corrupt) << "of 2 bits there are 16";
}

}  // namespace
}  // namespace varve

// What every codec owes its callers. A new codec is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "math/codec/codec.h"

namespace varve {
namespace {

class EveryCodec : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto found = codec_named(GetParam());
    ASSERT_TRUE(found.ok());
    codec_ = *found;
  }
  std::vector<float> round_trip(const std::vector<float>& in) {
    std::vector<std::byte> bytes(size_t(codec_->bytes_for(int64_t(in.size()))));
    std::vector<float> out(in.size());
    codec_->encode(in, bytes);
    codec_->decode(bytes, out);
    return out;
  }
  const Codec* codec_ = nullptr;
};

TEST_P(EveryCodec, KeepsZeroExactly) {
  for (float value : round_trip(std::vector<float>(codec_->block_values() * 3))) EXPECT_EQ(value, 0);
}

TEST_P(EveryCodec, IsNearlyIdempotent) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(codec_->block_values() * 8);
  for (float& value : values) value = normal(random);
  const auto once = round_trip(values);
  const auto twice = round_trip(once);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(once[i], twice[i], 2e-3f);
}

INSTANTIATE_TEST_SUITE_P(All, EveryCodec, testing::ValuesIn(codecs().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve

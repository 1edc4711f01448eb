// What every codec owes its callers. A new codec is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "math/codec/codec.h"

namespace varve {
namespace {

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - double(b[i]), 2);
  return std::sqrt(sum / double(a.size()));
}

class EveryCodec : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto found = codec_named(GetParam());
    ASSERT_TRUE(found.ok());
    codec_ = *found;
  }
  std::vector<float> normal(size_t n) {
    std::mt19937 random(3);
    std::normal_distribution<float> distribution;
    std::vector<float> values(n);
    for (float& value : values) value = distribution(random);
    return values;
  }
  std::vector<std::byte> encode(const std::vector<float>& values) {
    std::vector<std::byte> bytes(size_t(codec_->bytes_for(int64_t(values.size()))));
    codec_->encode(values, bytes);
    return bytes;
  }
  std::vector<float> decode(const std::vector<std::byte>& bytes) {
    std::vector<float> values(bytes.size() / codec_->block_bytes() * codec_->block_values());
    codec_->decode(bytes, values);
    return values;
  }
  std::vector<float> round_trip(const std::vector<float>& values) { return decode(encode(values)); }
  const Codec* codec_ = nullptr;
};

TEST_P(EveryCodec, KeepsZeroExactly) {
  for (float value : round_trip(std::vector<float>(codec_->block_values() * 3))) EXPECT_EQ(value, 0);
}

// Root of the mean squared error on values of variance 1, and what it may be at most. Measured, then rounded
// up by less than 2 %. The optimal uniform quantiser with one fixed step for all values (Max 1960) has 0.345
// at 2 bits, 0.193 at 3 bits, 0.107 at 4, 0.059 at 5, 0.032 at 6: scales that follow the values do better.
TEST_P(EveryCodec, ErrorOnNormalValuesIsBounded) {
  // tq: by the largest of 256, most values become 0, as BitNet's never do.
  const std::map<std::string, double> bounds = {
      {"f32", 0},      {"f16", 0.00021},   {"bf16", 0.0017},    {"q8_0", 0.0054},  {"q4_0", 0.087},
      {"q4_1", 0.079}, {"q5_0", 0.043},    {"q5_1", 0.038},     {"iq4_nl", 0.078}, {"q2_k", 0.275},
      {"q3_k", 0.146}, {"q4_k", 0.072},    {"q5_k", 0.036},     {"q6_k", 0.0176},  {"iq4_xs", 0.079},
      {"tq1_0", 0.82}, {"tq2_0", 0.82},    {"q1_0", 0.605},     {"top1", 0.973},   {"s4_0", 0.29},
      {"slim2", 0.32}, {"bitmod3", 0.156}, {"bitmod4", 0.0785}, {"rf8", 0.0271},   {"dgq4", 0.0803},
      {"bp1", 0.6},    {"bp2", 0.375},     {"bp3", 0.19},       {"bp4", 0.094},    {"bp5", 0.046},
      {"bp6", 0.0227}, {"bp7", 0.0113},    {"bp8", 0.0056}};
  const auto values = normal(256 * 256);
  EXPECT_LE(rms(values, round_trip(values)), bounds.at(GetParam()));
}

TEST_P(EveryCodec, IsNearlyIdempotent) {
  const auto values = normal(256 * 64), once = round_trip(values);
  // The largest group of dgq4 may end a step below what the others' steps were made from: then they are
  // others.
  const double share = GetParam() == "dgq4" ? 0.15 : 0.02;
  EXPECT_LE(rms(once, round_trip(once)), share * rms(values, once));
}

TEST_P(EveryCodec, ScalesWithItsValues) {
  const auto values = normal(256 * 8);
  for (float factor : {1e-3f, 100.f}) {
    auto scaled = values;
    for (float& value : scaled) value *= factor;
    EXPECT_NEAR(rms(scaled, round_trip(scaled)), double(factor) * rms(values, round_trip(values)),
                0.1 * double(factor) * rms(values, round_trip(values)));
  }
}

TEST_P(EveryCodec, ABlockDecodesAlone) {
  const size_t blocks = 2 * 256 / codec_->block_values() + 5;
  const auto bytes = encode(normal(codec_->block_values() * blocks));
  const auto whole = decode(bytes);
  for (size_t block = 0; block < blocks; ++block) {
    const std::vector<std::byte> one(bytes.begin() + long(block * codec_->block_bytes()),
                                     bytes.begin() + long((block + 1) * codec_->block_bytes()));
    const std::vector<float> part(whole.begin() + long(block * codec_->block_values()),
                                  whole.begin() + long((block + 1) * codec_->block_values()));
    EXPECT_EQ(decode(one), part);
  }
}

TEST_P(EveryCodec, AnyBytesDecodeAtAnyAddress) {
  std::mt19937 random(5);
  std::vector<std::byte> bytes(1 + 64 * codec_->block_bytes());
  std::vector<float> values(64 * codec_->block_values());
  for (int round = 0; round < 20; ++round) {
    for (std::byte& byte : bytes) byte = std::byte(round == 0 ? 255 : random());
    codec_->decode(std::span(bytes).subspan(1), values);
  }
}

TEST_P(EveryCodec, EncodesWhatIsNotANumberWithoutFault) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (float odd : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 3e38f, -1e-45f}) {
    auto values = normal(codec_->block_values());
    values[values.size() / 2] = odd;
    EXPECT_EQ(round_trip(values).size(), values.size());
    EXPECT_EQ(round_trip(std::vector<float>(codec_->block_values(), odd)).size(), values.size());
  }
}

TEST_P(EveryCodec, IsFoundByItsGgufNumber) {
  ASSERT_TRUE(codec_->gguf_type().has_value());
  EXPECT_EQ(*codec_of_gguf(*codec_->gguf_type()), codec_);
}

INSTANTIATE_TEST_SUITE_P(All, EveryCodec, testing::ValuesIn(codecs().names()),
                         [](const auto& one) { return one.param; });

TEST(Codec, NamesThatAreNotThereListThoseThatAre) {
  EXPECT_EQ(codec_named("q9").code(), Code::not_found);
  EXPECT_NE(codec_named("q9").status().message().find("iq4_xs"), std::string::npos);
  EXPECT_EQ(codec_of_gguf(9).code(), Code::not_found);
}

}  // namespace
}  // namespace varve

// What every pack owes attention. A new pack is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "math/pack/pack.h"

namespace varve {
namespace {

constexpr int32_t kDim = 64;
constexpr size_t kValues = size_t(kPackTokens) * kDim;

// Keys as models have them: some channels are large, and tokens differ less than channels do.
std::vector<float> keys(uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> size(kDim), middle(kDim), rows(kValues);
  for (float& one : size) one = std::exp(distribution(random));
  for (float& one : middle) one = 4 * distribution(random);
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = size[i % kDim] * (middle[i % kDim] + distribution(random));
  return rows;
}
std::vector<float> plain(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(n);
  for (float& value : values) value = distribution(random);
  return values;
}
double relative(const std::vector<float>& got, const std::vector<float>& expected) {
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += std::pow(double(got[i]) - double(expected[i]), 2);
    size += std::pow(double(expected[i]), 2);
  }
  return std::sqrt(error / size);
}

struct Packed {
  Packed(const PagePack& pack, const std::vector<float>& k, const std::vector<float>& v)
      : key_bytes(size_t(pack.key_bytes(kDim)) + 1),
        value_bytes(size_t(pack.value_bytes(kDim)) + 1),
        read_keys(kValues),
        read_values(kValues) {
    key_bytes.back() = value_bytes.back() = std::byte{77};
    pack.encode_keys(k, kDim, key_bytes.data());
    pack.encode_values(v, kDim, value_bytes.data());
    EXPECT_EQ(key_bytes.back(), std::byte{77});
    EXPECT_EQ(value_bytes.back(), std::byte{77});
    pack.decode_keys(key_bytes.data(), kDim, read_keys.data());
    pack.decode_values(value_bytes.data(), kDim, read_values.data());
  }
  std::vector<std::byte> key_bytes, value_bytes;
  std::vector<float> read_keys, read_values;
};

class EveryPack : public testing::TestWithParam<std::string> {};

TEST_P(EveryPack, IsReadByAttentionAsItDecodes) {
  auto pack = page_packs().make(GetParam());
  ASSERT_TRUE(pack.ok());
  ASSERT_TRUE((*pack)->fits(kDim, kDim).ok());
  const Packed page(**pack, keys(1), plain(kValues, 2));
  for (const int32_t count : {1, 4, 7}) {
    const auto queries = plain(size_t(count) * kDim, 3), shares = plain(size_t(count) * kAttendTile, 4);
    std::vector<float> scores(size_t(count) * kAttendTile), expected = scores;
    std::vector<float> out = plain(size_t(count) * kDim, 5), sum = out, alone = out;
    (*pack)->score(page.key_bytes.data(), kDim, {queries.data(), count}, 0.25f, scores.data());
    (*pack)->mix(page.value_bytes.data(), kDim, shares.data(), count, out.data());
    for (size_t i = 0; i < size_t(count); ++i) {
      for (size_t t = 0; t < size_t(kPackTokens); ++t) {
        for (size_t d = 0; d < kDim; ++d) {
          expected[i * kAttendTile + t] += 0.25f * queries[i * kDim + d] * page.read_keys[t * kDim + d];
          sum[i * kDim + d] += shares[i * kAttendTile + t] * page.read_values[t * kDim + d];
        }
      }
      (*pack)->mix(page.value_bytes.data(), kDim, &shares[i * kAttendTile], 1, &alone[i * kDim]);
    }
    EXPECT_LT(relative(scores, expected), 1e-5);
    EXPECT_LT(relative(out, sum), 1e-5);
    EXPECT_EQ(out, alone) << "a query depends on its company";
  }
}

TEST_P(EveryPack, PacksTheSameAgainAndReadsAnyBytes) {
  auto pack = page_packs().make(GetParam());
  const Packed one(**pack, keys(8), plain(kValues, 9)), other(**pack, keys(8), plain(kValues, 9));
  EXPECT_EQ(one.key_bytes, other.key_bytes);
  EXPECT_EQ(one.value_bytes, other.value_bytes);
  std::mt19937 random(3);
  std::vector<std::byte> bytes(one.key_bytes.size());
  for (std::byte& byte : bytes) byte = std::byte(random());
  std::vector<float> rows(kValues), scores(kAttendTile);
  (*pack)->decode_keys(bytes.data(), kDim, rows.data());
  (*pack)->score(bytes.data(), kDim, {rows.data(), 1}, 1, scores.data());
}

INSTANTIATE_TEST_SUITE_P(All, EveryPack, testing::ValuesIn(page_packs().names()),
                         [](const auto& one) { return one.param; });

// Bytes beside f16, and how far keys and values are off.
struct Promise {
  const char* spec;
  double bytes, keys, values;
};
class Packs : public testing::TestWithParam<Promise> {};

TEST_P(Packs, TakeAsManyBytesAndErrAsLittleAsTheySay) {
  const Promise& promise = GetParam();
  auto pack = page_packs().make(promise.spec);
  ASSERT_TRUE(pack.ok());
  const auto k = keys(11), v = plain(kValues, 12);
  const Packed page(**pack, k, v);
  const double bytes = double((*pack)->key_bytes(kDim) + (*pack)->value_bytes(kDim));
  EXPECT_LE(bytes / double(4 * kValues), promise.bytes);
  EXPECT_LE(relative(page.read_keys, k), promise.keys);
  EXPECT_LE(relative(page.read_values, v), promise.values);
}
INSTANTIATE_TEST_SUITE_P(
    All, Packs,
    testing::Values(Promise{"kivi:bits=2", 0.19, 0.12, 0.32}, Promise{"kivi:bits=4", 0.32, 0.03, 0.09},
                    Promise{"zip", 0.26, 0.08, 0.30}, Promise{"think:keep=0.6", 0.82, 0.2, 0.001},
                    Promise{"think:keep=1", 1.02, 0.001, 0.001}, Promise{"delta:keep=0.5", 0.76, 0.2, 0.001},
                    Promise{"delta:keep=1", 1.01, 0.001, 0.001}));

// One far value does not spoil the others, as it does with steps from the least to the largest.
TEST(Packs, PutStepsWhereTheSquaredErrorIsLeast) {
  auto pack = page_packs().make("kivi:bits=2");
  std::vector<float> v = plain(kValues, 31);
  for (size_t i = 0; i < v.size(); i += 32) v[i] = 5;
  const Packed page(**pack, keys(32), v);
  double error = 0, even = 0;
  for (size_t i = 0; i < v.size(); i += 32) {
    const auto [least, largest] = std::minmax_element(&v[i], &v[i] + 32);
    const float step = (*largest - *least) / 3;
    for (size_t j = i; j < i + 32; ++j) {
      error += std::pow(double(page.read_values[j]) - double(v[j]), 2);
      even += std::pow(double(*least + step * std::round((v[j] - *least) / step)) - double(v[j]), 2);
    }
  }
  EXPECT_LT(error, 0.7 * even);
  std::vector<float> same(kValues, 3);
  EXPECT_EQ(Packed(**pack, keys(32), same).read_values, same);
}

// Twelve keys, each a few times in a row: as many are kept, and nothing is lost.
TEST(Packs, KeysThatDoNotChangeAreKeptOnce) {
  const auto few = plain(12 * kDim, 20), v = plain(kValues, 21);
  std::vector<float> k(kValues);
  for (size_t t = 0; t < size_t(kPackTokens); ++t)
    std::copy_n(&few[t * 12 / size_t(kPackTokens) * kDim], kDim, &k[t * kDim]);
  auto pack = page_packs().make("delta:keep=0.1875");
  EXPECT_EQ((*pack)->key_bytes(kDim), 8 + 12 * 2 * kDim);
  EXPECT_LT(relative(Packed(**pack, k, v).read_keys, k), 0.001);
}

TEST(Packs, RefuseHeadsThatTheyCannotStore) {
  for (const char* name : {"kivi", "zip"}) {
    auto pack = page_packs().make(name);
    EXPECT_EQ((*pack)->fits(8, 8).code(), Code::invalid) << name;
  }
  EXPECT_EQ(page_packs().make("kivi:bits=3").code(), Code::invalid);
}

}  // namespace
}  // namespace varve

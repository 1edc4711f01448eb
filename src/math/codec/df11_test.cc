// Every bit pattern comes back, whatever the row; no bytes make a reader leave it.
#include "math/codec/df11.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "math/kernel/half.h"
#include "math/kernel/kernel.h"

namespace varve {
namespace {

using Halves = std::vector<uint16_t>;

std::vector<float> floats(const Halves& halves) {
  std::vector<float> values;
  for (const uint16_t half : halves) values.push_back(bf16_to_f32(half));
  return values;
}
Halves normal(size_t n, float size, std::mt19937& random) {
  std::normal_distribution<float> distribution(0, size);
  Halves halves;
  for (size_t i = 0; i < n; ++i) halves.push_back(f32_to_bf16(distribution(random)));
  return halves;
}

struct Coded {
  Coded(const Halves& halves, int64_t cols) {
    const std::vector<float> values = floats(halves);
    int64_t others = 0;
    for (size_t at = 0; at < values.size(); at += size_t(cols))
      others = std::max(others, Df11::others(std::span(values).subspan(at, size_t(cols))));
    codec = Df11::make(cols, Df11::row_bytes(cols, others)).value();
    bytes.resize(size_t(codec->bytes_for(int64_t(values.size()))));
    codec->encode(values, bytes);
  }
  Halves unpacked(const Kernels& table) const {
    const size_t cols = codec->block_values(), row = codec->block_bytes();
    Halves all(bytes.size() / row * cols);
    for (size_t i = 0; i * row < bytes.size(); ++i)
      table.unpack_bf16({bytes.data() + i * row, row, cols}, 0, cols, all.data() + i * cols);
    return all;
  }
  std::shared_ptr<const Codec> codec;
  std::vector<std::byte> bytes;
};

TEST(Df11, every_bit_comes_back) {
  std::mt19937 random(1);
  Halves any, all_equal(640, 0x8000), extremes, mixed = normal(1280, 0.02f, random);
  for (int i = 0; i < 65536; ++i)
    any.push_back(uint16_t(i * 40503));  // all there are: NaN, infinity, denormals
  for (int i = 0; i < 640; ++i)
    extremes.push_back(uint16_t(random() % 2 ? 0x7f80 + random() % 128 : random() % 256));
  for (size_t i = 0; i < mixed.size(); i += 3) mixed[i] = uint16_t(random());
  for (const Halves& halves : {any, all_equal, extremes, mixed, normal(6400, 3.f, random)}) {
    for (const int64_t cols : {64, 128, 640}) {
      const Halves whole(halves.begin(), halves.begin() + long(halves.size() / size_t(cols) * size_t(cols)));
      const Coded coded(whole, cols);
      EXPECT_EQ(coded.unpacked(kernels()), whole) << cols;
      std::vector<float> values(whole.size());
      coded.codec->decode(coded.bytes, values);
      const std::vector<float> expected = floats(whole);
      EXPECT_EQ(std::memcmp(values.data(), expected.data(), 4 * values.size()), 0);
    }
  }
}

TEST(Df11, ordinary_weights_take_eleven_bits_and_a_little) {
  std::mt19937 random(2);
  const Coded coded(normal(2048 * 64, 0.02f, random), 2048);
  EXPECT_LT(double(coded.bytes.size()), 0.71 * 2 * 2048 * 64);
  const Coded equal(Halves(2048, 0x3f80), 2048);
  EXPECT_EQ(equal.bytes.size(), 1u + 2048 / 64 * 88);
}

TEST(Df11, every_isa_reads_any_bytes_alike_and_stays_within_the_row) {
  std::mt19937 random(3);
  for (const char* isa : kIsaNames) {
    const Kernels* table = kernels_for(isa);
    if (table == nullptr) continue;
    for (int round = 0; round < 200; ++round) {
      const size_t cols = 64 * (1 + random() % 9), room = random() % 3 == 0 ? 0 : random() % cols;
      const size_t row = size_t(Df11::row_bytes(int64_t(cols), int64_t(room)));
      std::vector<std::byte> bytes(row);  // of its own, so that a sanitizer sees what lies beyond
      for (std::byte& one : bytes) one = std::byte(round % 4 == 0 ? 255 : random());
      const size_t first = 64 * (random() % (cols / 64)), n = cols - first;
      Halves got(n), expected(n);
      table->unpack_bf16({bytes.data(), row, cols}, first, n, got.data());
      kernels_generic().unpack_bf16({bytes.data(), row, cols}, first, n, expected.data());
      ASSERT_EQ(got, expected) << isa << " " << cols << " " << room << " " << first;
    }
  }
}

TEST(Df11, a_part_is_what_the_whole_has_there) {
  std::mt19937 random(4);
  const Coded coded(normal(1280, 1, random), 1280);
  std::vector<float> whole(1280);
  coded.codec->decode(coded.bytes, whole);
  for (const auto& [first, n] :
       {std::pair{0, 640}, {64, 1216}, {576, 512}, {640, 640}, {1, 1279}, {63, 2}, {1279, 1}, {100, 700}}) {
    std::vector<float> part(static_cast<size_t>(n));
    coded.codec->decode_part(coded.bytes, size_t(first), part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first)) << first << " " << n;
  }
}

TEST(Df11, without_room_for_its_others_a_row_is_near) {
  std::mt19937 random(5);
  const auto values = floats(normal(640, 1, random));
  const auto codec = Df11::make(640, Df11::row_bytes(640, 3)).value();
  std::vector<std::byte> bytes(size_t(codec->bytes_for(640)));
  std::vector<float> back(640);
  codec->encode(values, bytes);
  codec->decode(bytes, back);
  for (size_t i = 0; i < back.size(); ++i) EXPECT_NEAR(back[i], values[i], 0.13) << values[i];
}

TEST(Df11, refuses_what_is_no_row) {
  EXPECT_EQ(Df11::make(96, 200).code(), Code::invalid);
  EXPECT_EQ(Df11::make(0, 1).code(), Code::invalid);
  EXPECT_EQ(Df11::make(128, 2 * 88).code(), Code::invalid);
  EXPECT_EQ(Df11::make(128, 1 + 2 * 88 + 129).code(), Code::invalid);
  EXPECT_TRUE(Df11::make(128, 1 + 2 * 88 + 128).ok());
}

}  // namespace
}  // namespace varve

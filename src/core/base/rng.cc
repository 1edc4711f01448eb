#include "core/base/rng.h"

#include <cmath>
#include <numbers>

namespace varve {
namespace {

using Block = std::array<uint32_t, 4>;

Block philox(Block counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t left = uint64_t(0xD2511F53u) * counter[0];
    const uint64_t right = uint64_t(0xCD9E8D57u) * counter[2];
    counter = {uint32_t(right >> 32) ^ counter[1] ^ key0, uint32_t(right),
               uint32_t(left >> 32) ^ counter[3] ^ key1, uint32_t(left)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

double unit(uint32_t high, uint32_t low) {
  return double(((uint64_t(high) << 32) | low) >> 11) * 0x1p-53;
}

}  // namespace

Block random_block(const RngKey& key, uint32_t index) {
  return philox({uint32_t(key.step), uint32_t(key.step >> 32), uint32_t(key.site), index}, uint32_t(key.seed),
                uint32_t(key.seed >> 32));
}

uint32_t random_bits(const RngKey& key, uint64_t index) {
  return random_block(key, uint32_t(index / 4))[index % 4];
}

double random_unit(const RngKey& key, uint64_t index) {
  const Block block = random_block(key, uint32_t(index / 2));
  return unit(block[index % 2 * 2], block[index % 2 * 2 + 1]);
}

double random_normal(const RngKey& key, uint64_t index) {
  const Block block = random_block(key, uint32_t(index));
  const double radius = std::sqrt(-2 * std::log(1 - unit(block[0], block[1])));
  return radius * std::cos(2 * std::numbers::pi * unit(block[2], block[3]));
}

}  // namespace varve

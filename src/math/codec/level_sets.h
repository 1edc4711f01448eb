// Blocks of 256 values that have for each 32 a scale of 6 bits and one of four sets of levels: the layout
// that bitmod3, bitmod4 (sets that are given) and codebooks (sets learnt for one weight) share.
#pragma once

#include "math/codec/grid.h"

namespace varve::codec {

inline constexpr size_t kSetValues = 256, kSetGroup = 32, kSetGroups = kSetValues / kSetGroup, kSets = 4;

constexpr size_t set_block_bytes(size_t bits) {  // 2.31, 3.31 or 4.31 bits a value
  return 2 + kSetGroups + kSetValues / 8 * bits;
}
// sets: four, each of 2^bits ascending levels.
void encode_sets(size_t bits, std::span<const float> sets, std::span<const float> values,
                 std::span<std::byte> bytes);
void decode_sets(size_t bits, std::span<const float> sets, std::span<const std::byte> bytes,
                 std::span<float> values);
Grid grid_of_sets(size_t bits, std::span<const float> sets);

}  // namespace varve::codec

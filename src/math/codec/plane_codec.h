// The codec of weights in so many planes of bits (planes.h); one file for each number of them.
#pragma once

#include <algorithm>
#include <cstring>

#include "math/codec/grid.h"
#include "math/codec/kernel_codec.h"
#include "math/codec/planes.h"
#include "math/kernel/half.h"

namespace varve::codec {

inline constexpr uint32_t kFirstPlanes = kOwnTypes + 7;
inline constexpr std::string_view kPlaneNames[] = {"",    "bp1", "bp2", "bp3", "bp4",
                                                   "bp5", "bp6", "bp7", "bp8"};

inline uint16_t plane_half(float value) {
  return f32_to_f16(std::clamp(value, -65504.f, 65504.f));
}
// Ends of a block: the scale, the least value; then planes.
inline Line set_plane_line(size_t, const Line& wanted, std::byte* block) {
  const uint16_t ends[] = {plane_half(wanted.scale), plane_half(-wanted.min)};
  std::memcpy(block, ends, sizeof(ends));
  return {f16_to_f32(ends[0]), -f16_to_f32(ends[1])};
}
template <size_t bits>
void set_plane_code(size_t at, uint8_t code, std::byte* block) {
  for (size_t bit = 0; bit < bits; ++bit) {
    std::byte& eight = block[4 + kPlaneBytes * bit + at / 8];
    eight = (eight & ~std::byte(1 << at % 8)) | std::byte((code >> bit & 1) << at % 8);
  }
}

inline uint64_t spread(uint8_t bits) {  // bit i to byte i
  const uint64_t apart = bits * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
  return (apart + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
}

template <size_t bits>
class Planes : public Codec {
 public:
  std::string_view name() const override { return kPlaneNames[bits]; }
  size_t block_values() const override { return kPlaneValues; }
  size_t block_bytes() const override { return plane_block_bytes(bits); }
  std::optional<uint32_t> gguf_type() const override { return kFirstPlanes + uint32_t(bits) - 1; }

  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    constexpr int kMost = (1 << bits) - 1;
    std::fill(bytes.begin(), bytes.end(), std::byte(0));
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += kPlaneValues, to += block_bytes()) {
      const float* x = values.data() + at;
      const Line line = set_plane_line(0, fit_line(x, kPlaneValues, kMost), to);
      const float inverse = inverse_of(line.scale);
      for (size_t i = 0; i < kPlaneValues; ++i)
        set_plane_code<bits>(i, uint8_t(rounded((x[i] + line.min) * inverse, 0, kMost)), to);
    }
  }
  void decode(std::span<const std::byte> bytes, std::span<float> values) const override {
    const std::byte* from = bytes.data();
    for (size_t at = 0; at < values.size(); at += kPlaneValues, from += block_bytes()) {
      uint16_t ends[2];
      std::memcpy(ends, from, sizeof(ends));
      const float scale = f16_to_f32(ends[0]), least = f16_to_f32(ends[1]);
      for (size_t eight = 0; eight < kPlaneBytes; ++eight) {
        uint64_t codes = 0;
        for (size_t bit = 0; bit < bits; ++bit)
          codes |= spread(uint8_t(from[4 + kPlaneBytes * bit + eight])) << bit;
        for (size_t i = 0; i < 8; ++i, codes >>= 8)
          values[at + 8 * eight + i] = scale * float(int(codes & 255)) + least;
      }
    }
  }
};

}  // namespace varve::codec

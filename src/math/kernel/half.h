// 16-bit floats from and to f32, for code that is compiled for every x86-64. (clang 14 has no _Float16
// there.)
#pragma once

#include <cstdint>
#include <cstring>

namespace varve {

inline uint32_t float_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline float bits_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline float f16_to_f32(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) {  // infinity, or NaN, which becomes a quiet one as the hardware makes it
    return bits_float(sign | 0x7f800000 | (magnitude & 0x3ff) << 13 | (magnitude > 0x7c00 ? 0x400000 : 0));
  }
  if (magnitude < 0x400) {  // subnormal: a multiple of 2^-24
    return bits_float(sign | float_bits(float(magnitude) * 0x1p-24f));
  }
  return bits_float(sign | ((magnitude << 13) + (112u << 23)));
}

inline uint16_t f32_to_f16(float value) {  // to nearest, ties to even
  const uint32_t bits = float_bits(value);
  const uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return uint16_t(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x477ff000) return uint16_t(sign | 0x7c00);  // 65520 and beyond round to infinity
  if (magnitude <
      0x38800000) {  // below 2^-14: adding 1/2 leaves the rounded multiple of 2^-24 in the low bits
    return uint16_t(sign | (float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f)));
  }
  const uint32_t odd = magnitude >> 13 & 1;
  return uint16_t(sign | ((magnitude - (112u << 23) + 0xfff + odd) >> 13));
}

inline float bf16_to_f32(uint16_t half) {
  return bits_float(uint32_t(half) << 16);
}

inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = float_bits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace varve

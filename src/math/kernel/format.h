// The number formats that have kernels, and how their blocks lie in bytes (the layouts of GGUF,
// little-endian). No functions here: ISA files include this, and an inline function would leak their
// instructions.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace varve {

enum class Format : uint8_t {
  f32,
  f16,
  bf16,  // plain numbers
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  iq4_nl,  // blocks of 32
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_xs,  // blocks of 256 with scales of their own
  tq1_0,
  tq2_0,  // blocks of 256, three values
  count
};
inline constexpr size_t kFormats = size_t(Format::count);

// offset: a value is scale * (q - offset) when offset >= 0, else scale * q - min. gguf: the element type of
// GGUF.
struct FormatShape {
  const char* name;
  uint16_t values, bytes;
  int16_t offset;
  uint32_t gguf;
};
inline constexpr FormatShape kShapes[kFormats] = {
    {"f32", 1, 4, 0, 0},        {"f16", 1, 2, 0, 1},        {"bf16", 1, 2, 0, 30},
    {"q8_0", 32, 34, 128, 8},   {"q4_0", 32, 18, 8, 2},     {"q4_1", 32, 20, -1, 3},
    {"q5_0", 32, 22, 16, 6},    {"q5_1", 32, 24, -1, 7},    {"iq4_nl", 32, 18, 128, 20},
    {"q2_k", 256, 84, -1, 10},  {"q3_k", 256, 110, 4, 11},  {"q4_k", 256, 144, -1, 12},
    {"q5_k", 256, 176, -1, 13}, {"q6_k", 256, 210, 32, 14}, {"iq4_xs", 256, 136, 128, 23},
    {"tq1_0", 256, 54, 1, 34},  {"tq2_0", 256, 66, 1, 35},
};

// f16 fields are their bits. Every field is a byte or 16-bit array, so sizeof is the size in the file.
struct BlockQ8_0 {
  uint16_t d;
  int8_t q[32];
};
struct BlockQ4_0 {
  uint16_t d;
  uint8_t q[16];
};  // low nibbles are values 0..15, high 16..31
struct BlockQ4_1 {
  uint16_t d, m;
  uint8_t q[16];
};  // value = d q + m
struct BlockQ5_0 {
  uint16_t d;
  uint8_t high[4];
  uint8_t q[16];
};  // bit i of high is bit 4 of value i
struct BlockQ5_1 {
  uint16_t d, m;
  uint8_t high[4];
  uint8_t q[16];
};
struct BlockIq4Nl {
  uint16_t d;
  uint8_t q[16];
};  // nibbles index kIq4Values
// Packed pages of KV: 32 values in even steps from the least, value i = least + scale * code.
inline constexpr size_t kCodeColumns = 32;
struct BlockCode2 {
  uint16_t scale, least;
  uint8_t q[8];
};  // code i is bits 2 (i / 8) of byte i % 8
struct BlockCode4 {
  uint16_t scale, least;
  uint8_t q[16];
};  // code i is nibble i / 16 of byte i % 16
// K blocks: 256 values; "half" is 128 of them, "quarter" 64.
struct BlockQ2K {
  uint8_t scales[16];
  uint8_t q[64];
  uint16_t d, m;
};  // scales: low nibble scale, high min
struct BlockQ3K {
  uint8_t high[32];
  uint8_t q[64];
  uint8_t scales[12];
  uint16_t d;
};
struct BlockQ4K {
  uint16_t d, m;
  uint8_t scales[12];
  uint8_t q[128];
};
struct BlockQ5K {
  uint16_t d, m;
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t q[128];
};
struct BlockQ6K {
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  uint16_t d;
};
struct BlockIq4Xs {
  uint16_t d, scales_high;
  uint8_t scales_low[4];
  uint8_t q[128];
};
struct BlockTq1 {
  uint8_t q[48];
  uint8_t rest[4];
  uint16_t d;
};  // 5 (rest: 4) base-3 digits a byte, as a fraction of 256
struct BlockTq2 {
  uint8_t q[64];
  uint16_t d;
};

// 64 values of bf16 in fewer bytes (math/codec/df11.h). Place p of a group, a bit of each plane and a byte of
// rest, is value p % 16 / 4 * 16 + p / 16 * 4 + p % 4, so that two bytes of each become words, and words
// floats in order, by interleaving alone.
inline constexpr size_t kCodedValues = 64;
struct CodedGroup {
  uint8_t planes[3]
                [8];  // bits 0, 1, 2 of what is taken from the row's first exponent; 7: it is one of others
  uint8_t rest[kCodedValues];  // sign and mantissa
};

inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace varve

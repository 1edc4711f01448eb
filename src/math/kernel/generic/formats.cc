// Every number format, read the obvious way. This is the truth that other ISAs are held to.
#include <algorithm>
#include <cstring>

#include "math/kernel/generic/generic.h"
#include "math/kernel/half.h"

namespace varve::generic {
namespace {

// What one block says: quants, and per 16 values a scale and (for formats without an offset) a min.
struct Read {
  uint8_t q[256];
  float scale[16], min[16];
};

void nibbles(const uint8_t* packed, size_t bytes, uint8_t* low, uint8_t* high) {
  for (size_t i = 0; i < bytes; ++i) low[i] = packed[i] & 15, high[i] = packed[i] >> 4;
}
void both(float* two, float value) {
  two[0] = two[1] = value;
}

void read(const BlockQ8_0& block, Read& out) {
  for (size_t i = 0; i < 32; ++i) out.q[i] = uint8_t(block.q[i] + 128);
  both(out.scale, f16_to_f32(block.d));
}
void read(const BlockQ4_0& block, Read& out) {
  nibbles(block.q, 16, out.q, out.q + 16);
  both(out.scale, f16_to_f32(block.d));
}
void read(const BlockQ4_1& block, Read& out) {
  nibbles(block.q, 16, out.q, out.q + 16);
  both(out.scale, f16_to_f32(block.d));
  both(out.min, -f16_to_f32(block.m));
}
void fifth_bits(const uint8_t* high, uint8_t* q) {
  for (size_t i = 0; i < 32; ++i) q[i] = uint8_t(q[i] | (high[i / 8] >> i % 8 & 1) << 4);
}
void read(const BlockQ5_0& block, Read& out) {
  nibbles(block.q, 16, out.q, out.q + 16);
  fifth_bits(block.high, out.q);
  both(out.scale, f16_to_f32(block.d));
}
void read(const BlockQ5_1& block, Read& out) {
  nibbles(block.q, 16, out.q, out.q + 16);
  fifth_bits(block.high, out.q);
  both(out.scale, f16_to_f32(block.d));
  both(out.min, -f16_to_f32(block.m));
}
void from_codebook(uint8_t* q, size_t n) {
  for (size_t i = 0; i < n; ++i) q[i] = uint8_t(kIq4Values[q[i]] + 128);
}
void read(const BlockIq4Nl& block, Read& out) {
  nibbles(block.q, 16, out.q, out.q + 16);
  from_codebook(out.q, 32);
  both(out.scale, f16_to_f32(block.d));
}

void read(const BlockQ2K& block, Read& out) {
  const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
  for (size_t i = 0; i < 256; ++i) {  // a half is 32 bytes of 4 x 2 bits, 32 values a bit pair
    out.q[i] = block.q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
  }
  for (size_t i = 0; i < 16; ++i) {
    out.scale[i] = d * float(block.scales[i] & 15), out.min[i] = m * float(block.scales[i] >> 4);
  }
}
void read(const BlockQ3K& block, Read& out) {
  const float d = f16_to_f32(block.d);
  for (size_t i = 0; i < 256; ++i) {
    const int low = block.q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    out.q[i] = uint8_t(low | (block.high[i % 32] >> i / 32 & 1) << 2);
  }
  for (size_t i = 0; i < 16; ++i) {  // 6 bits: 4 in a nibble of the first 8 bytes, 2 in the last 4 bytes
    const int low = block.scales[i % 8] >> i / 8 * 4 & 15;
    const int high = block.scales[8 + i % 4] >> i / 4 * 2 & 3;
    out.scale[i] = d * float((low | high << 4) - 32);
  }
}
// 8 scales and 8 mins of 6 bits in 12 bytes: the first four of each in the low 6 bits of bytes 0..3 and 4..7;
// of the last four, the low 4 bits are the nibbles of bytes 8..11 and the high 2 the top bits of bytes 0..3
// and 4..7.
void six_bit_scales(const uint8_t* packed, float d, float m, Read& out) {
  for (size_t i = 0; i < 8; ++i) {
    int scale = 0, min = 0;
    if (i < 4) {
      scale = packed[i] & 63, min = packed[i + 4] & 63;
    } else {
      scale = (packed[i + 4] & 15) | packed[i - 4] >> 6 << 4;
      min = packed[i + 4] >> 4 | packed[i] >> 6 << 4;
    }
    both(out.scale + 2 * i, d * float(scale));
    both(out.min + 2 * i, m * float(min));
  }
}
void read(const BlockQ4K& block, Read& out) {
  for (size_t i = 0; i < 4; ++i) nibbles(block.q + 32 * i, 32, out.q + 64 * i, out.q + 64 * i + 32);
  six_bit_scales(block.scales, f16_to_f32(block.d), f16_to_f32(block.m), out);
}
void read(const BlockQ5K& block, Read& out) {
  for (size_t i = 0; i < 4; ++i) nibbles(block.q + 32 * i, 32, out.q + 64 * i, out.q + 64 * i + 32);
  for (size_t i = 0; i < 256; ++i) {
    out.q[i] = uint8_t(out.q[i] | (block.high[i % 32] >> i / 32 & 1) << 4);
  }
  six_bit_scales(block.scales, f16_to_f32(block.d), f16_to_f32(block.m), out);
}
void read(const BlockQ6K& block, Read& out) {
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, quarter = i % 128 / 32;  // of the half
    const int low = block.low[half * 64 + i % 64] >> quarter / 2 * 4 & 15;
    const int high = block.high[half * 32 + i % 32] >> quarter * 2 & 3;
    out.q[i] = uint8_t(low | high << 4);
  }
  const float d = f16_to_f32(block.d);
  for (size_t i = 0; i < 16; ++i) out.scale[i] = d * float(block.scales[i]);
}
void read(const BlockIq4Xs& block, Read& out) {
  const float d = f16_to_f32(block.d);
  for (size_t i = 0; i < 8; ++i) {
    nibbles(block.q + 16 * i, 16, out.q + 32 * i, out.q + 32 * i + 16);
    const int low = block.scales_low[i / 2] >> i % 2 * 4 & 15;
    const int high = block.scales_high >> 2 * i & 3;
    both(out.scale + 2 * i, d * float((low | high << 4) - 32));
  }
  from_codebook(out.q, 256);
}

// A byte holds base-3 digits as a fraction: the first digit is the integer part of 3 * byte / 256.
uint8_t trit(uint8_t byte, size_t index) {
  constexpr uint8_t power[5] = {1, 3, 9, 27, 81};
  return uint8_t(uint8_t(byte * power[index]) * 3 >> 8);
}
void read(const BlockTq1& block, Read& out) {
  for (size_t i = 0; i < 160; ++i) out.q[i] = trit(block.q[i % 32], i / 32);
  for (size_t i = 0; i < 80; ++i) out.q[160 + i] = trit(block.q[32 + i % 16], i / 16);
  for (size_t i = 0; i < 16; ++i) out.q[240 + i] = trit(block.rest[i % 4], i / 4);
  for (float& scale : out.scale) scale = f16_to_f32(block.d);
}
void read(const BlockTq2& block, Read& out) {
  for (size_t i = 0; i < 256; ++i) out.q[i] = block.q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
  for (float& scale : out.scale) scale = f16_to_f32(block.d);
}

template <class Block, Format format>
void decode(const void* bytes, size_t values, float* out) {
  constexpr FormatShape shape = kShapes[size_t(format)];
  static_assert(sizeof(Block) == shape.bytes);
  const auto* from = static_cast<const unsigned char*>(bytes);
  for (size_t at = 0; at < values; at += shape.values, from += sizeof(Block)) {
    Block block;
    Read one;
    std::memcpy(&block, from, sizeof(block));
    read(block, one);
    for (size_t i = 0; i < shape.values; ++i) {
      const float scale = one.scale[i / 16];
      if constexpr (shape.offset >= 0) {
        out[at + i] = scale * float(int(one.q[i]) - shape.offset);
      } else {
        out[at + i] = scale * float(one.q[i]) - one.min[i / 16];
      }
    }
  }
}

template <class Block, Format format>
WeightPanel panel_of(const unsigned char* from, size_t values) {
  constexpr FormatShape shape = kShapes[size_t(format)];
  WeightPanel panel{};
  for (size_t at = 0; at < values; at += shape.values, from += sizeof(Block)) {
    Block block;
    Read one;
    std::memcpy(&block, from, sizeof(block));
    read(block, one);
    std::memcpy(panel.q + at, one.q, shape.values);
    for (size_t i = 0; i < shape.values / 16; ++i) {
      panel.scale[at / 16 + i] = one.scale[i];
      panel.min[at / 16 + i] = shape.offset >= 0 ? one.scale[i] * float(shape.offset) : one.min[i];
    }
  }
  return panel;
}

void decode_f32(const void* bytes, size_t values, float* out) {
  if (values > 0) std::memcpy(out, bytes, values * 4);
}

template <float (*widen)(uint16_t)>
void decode_16(const void* bytes, size_t values, float* out) {
  const auto* from = static_cast<const unsigned char*>(bytes);
  for (size_t i = 0; i < values; ++i) {
    uint16_t half;
    std::memcpy(&half, from + 2 * i, 2);
    out[i] = widen(half);
  }
}

// In pieces of a panel; the sums are carried, so the pieces leave no trace.
template <Format format>
void stream_f32(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  const Kernels& table = kernels_generic();
  constexpr FormatShape shape = kShapes[size_t(format)];
  float piece[kPanel];
  for (size_t i = 0; i < w_rows; ++i) {
    for (size_t at = 0; at < n; at += kPanel) {
      const size_t width = std::min(kPanel, n - at);
      table.decode[size_t(format)](
          static_cast<const unsigned char*>(w) + i * w_bytes + at / shape.values * shape.bytes, width, piece);
      table.dot_f32(piece, 0, 1, x + at, 0, 1, width, sums + i);
    }
  }
}
template <class Block, Format format>
void stream_panels(const WeightRows& w, const InputPanel* x, size_t x_stride, size_t x_rows, Lanes* sums) {
  constexpr FormatShape shape = kShapes[size_t(format)];
  for (size_t i = 0; i < w.rows; ++i) {
    const auto* from = static_cast<const unsigned char*>(w.bytes) + i * w.row_bytes;
    for (size_t at = 0; at < w.n; at += kPanel) {
      const WeightPanel panel =
          panel_of<Block, format>(from + at / shape.values * shape.bytes, std::min(kPanel, w.n - at));
      for (size_t j = 0; j < x_rows; ++j)
        add_panel(panel, x[j * x_stride + at / kPanel], sums[i * x_rows + j]);
    }
  }
}

void encode_f16(const float* x, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; ++i) out[i] = f32_to_f16(x[i]);
}

void encode_bf16(const float* x, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; ++i) out[i] = f32_to_bf16(x[i]);
}

template <class Block, Format format>
void add(Kernels& table) {
  table.decode[size_t(format)] = decode<Block, format>;
  table.stream_f32[size_t(format)] = stream_f32<format>;
  table.stream_panels[size_t(format)] = stream_panels<Block, format>;
}

}  // namespace

WeightPanel panel_of(Format format, const void* bytes, size_t values) {
  const auto* from = static_cast<const unsigned char*>(bytes);
  switch (format) {
    case Format::q8_0: return panel_of<BlockQ8_0, Format::q8_0>(from, values);
    case Format::q4_0: return panel_of<BlockQ4_0, Format::q4_0>(from, values);
    case Format::q4_1: return panel_of<BlockQ4_1, Format::q4_1>(from, values);
    case Format::q5_0: return panel_of<BlockQ5_0, Format::q5_0>(from, values);
    case Format::q5_1: return panel_of<BlockQ5_1, Format::q5_1>(from, values);
    case Format::iq4_nl: return panel_of<BlockIq4Nl, Format::iq4_nl>(from, values);
    case Format::q2_k: return panel_of<BlockQ2K, Format::q2_k>(from, values);
    case Format::q3_k: return panel_of<BlockQ3K, Format::q3_k>(from, values);
    case Format::q4_k: return panel_of<BlockQ4K, Format::q4_k>(from, values);
    case Format::q5_k: return panel_of<BlockQ5K, Format::q5_k>(from, values);
    case Format::q6_k: return panel_of<BlockQ6K, Format::q6_k>(from, values);
    case Format::iq4_xs: return panel_of<BlockIq4Xs, Format::iq4_xs>(from, values);
    case Format::tq1_0: return panel_of<BlockTq1, Format::tq1_0>(from, values);
    case Format::tq2_0: return panel_of<BlockTq2, Format::tq2_0>(from, values);
    default: return {};
  }
}

void add_formats(Kernels& table) {
  table.decode[size_t(Format::f32)] = decode_f32;
  table.decode[size_t(Format::f16)] = decode_16<f16_to_f32>;
  table.decode[size_t(Format::bf16)] = decode_16<bf16_to_f32>;
  table.stream_f32[size_t(Format::f32)] = stream_f32<Format::f32>;
  table.stream_f32[size_t(Format::f16)] = stream_f32<Format::f16>;
  table.stream_f32[size_t(Format::bf16)] = stream_f32<Format::bf16>;
  table.encode_f16 = encode_f16;
  table.encode_bf16 = encode_bf16;
  add<BlockQ8_0, Format::q8_0>(table);
  add<BlockQ4_0, Format::q4_0>(table);
  add<BlockQ4_1, Format::q4_1>(table);
  add<BlockQ5_0, Format::q5_0>(table);
  add<BlockQ5_1, Format::q5_1>(table);
  add<BlockIq4Nl, Format::iq4_nl>(table);
  add<BlockQ2K, Format::q2_k>(table);
  add<BlockQ3K, Format::q3_k>(table);
  add<BlockQ4K, Format::q4_k>(table);
  add<BlockQ5K, Format::q5_k>(table);
  add<BlockQ6K, Format::q6_k>(table);
  add<BlockIq4Xs, Format::iq4_xs>(table);
  add<BlockTq1, Format::tq1_0>(table);
  add<BlockTq2, Format::tq2_0>(table);
}

}  // namespace varve::generic

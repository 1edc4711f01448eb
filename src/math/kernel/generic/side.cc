// The table beside the kernel table, the obvious way: the truth that other ISAs are held to. And the choice.
#include "math/kernel/side.h"

#include <cmath>
#include <cstring>
#include <iterator>

#include "math/kernel/generic/generic.h"
#include "math/kernel/half.h"

namespace varve {

void expanding_avx2(SideKernels& table);
void expanded_streams_avx2(SideKernels& table);
void expanded_wide_avx2(SideKernels& table);
void plain_wide_avx2(SideKernels& table);
void small_floats_avx2(SideKernels& table);
void expanding_avx512(SideKernels& table);
void expanded_streams_avx512(SideKernels& table);
void expanded_wide_avx512(SideKernels& table);
void plain_wide_avx512(SideKernels& table);
void small_floats_avx512(SideKernels& table);
void expanded_wide_amx(SideKernels& table);

namespace {

constexpr size_t kGroup = 32, kGroups = 8;

template <size_t bits>
struct Sets {
  static constexpr size_t values = 256, bytes = 2 + kGroups + kPanel / 8 * bits;
  static void read(const uint8_t* from, const LevelTable* levels, BlockExpanded& out, size_t) {
    uint16_t d;
    std::memcpy(&d, from, 2);
    const float step = f16_to_f32(d) * levels->step;
    for (size_t i = 0; i < 256; ++i) {
      uint32_t code = 0;
      for (size_t bit = 0; bit < bits; ++bit) {
        const size_t at = i * bits + bit;
        code |= (from[2 + kGroups + at / 8] >> at % 8 & 1u) << bit;
      }
      out.q[i] = levels->levels[from[2 + i / kGroup] >> 6][code];
    }
    for (size_t i = 0; i < kGroups; ++i) {
      out.scale[i] = step * float(from[2 + i] & 63);
      out.min[i] = out.scale[i] * levels->offset;
    }
  }
};

template <class Block>
Block block_at(const uint8_t* from) {
  Block block;
  std::memcpy(&block, from, sizeof(block));
  return block;
}

struct S4 {
  static constexpr size_t values = 64, bytes = sizeof(BlockS4);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t at) {
    const auto block = block_at<BlockS4>(from);
    size_t next = 0;
    for (size_t i = 0; i < values; ++i) {
      const bool kept = (block.mask[i / 8] >> i % 8 & 1) != 0 && next < 32;  // a mask may have too many bits
      out.q[at + i] = uint8_t(kept ? block.q[next / 2] >> next % 2 * 4 & 15 : 8);
      next += kept ? 1 : 0;
    }
    for (size_t i = at / kGroup; i < at / kGroup + 2; ++i)
      out.scale[i] = f16_to_f32(block.d), out.min[i] = out.scale[i] * 8;
  }
};

struct Slim2 {
  static constexpr size_t values = 256, bytes = sizeof(BlockSlim2);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t) {
    const auto block = block_at<BlockSlim2>(from);
    size_t plane = 0;
    for (size_t group = 0; group < kGroups; ++group) {
      out.scale[group] = f16_to_f32(block.d) * float(block.scales[group] & 15);
      out.min[group] = f16_to_f32(block.m) * float(block.scales[group] >> 4);
      uint32_t bits[3] = {};
      for (size_t i = 0; i < size_t(block.widths >> 2 * group & 3) && plane < 16; ++i)
        std::memcpy(&bits[i], block.planes[plane++], 4);
      for (size_t i = 0; i < kGroup; ++i)
        out.q[group * kGroup + i] =
            uint8_t((bits[0] >> i & 1) | (bits[1] >> i & 1) << 1 | (bits[2] >> i & 1) << 2);
    }
  }
};

struct Dgq4 {
  static constexpr size_t values = 256, bytes = sizeof(BlockDgq4);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t) {
    const auto block = block_at<BlockDgq4>(from);
    for (size_t i = 0; i < 256; ++i) out.q[i] = block.q[i / kGroup * 16 + i % 16] >> i % kGroup / 16 * 4 & 15;
    for (size_t i = 0; i < kGroups; ++i) {
      out.scale[i] = f16_to_f32(block.d) * float(block.groups[i] & 15);
      out.min[i] = out.scale[i] * float(block.groups[i] >> 4);
    }
  }
};

struct Q1 {
  static constexpr size_t values = 128, bytes = sizeof(BlockQ1);
  static void read(const uint8_t* from, const LevelTable*, BlockExpanded& out, size_t at) {
    const auto block = block_at<BlockQ1>(from);
    for (size_t i = 0; i < values; ++i) out.q[at + i] = block.signs[i / 8] >> i % 8 & 1;
    for (size_t i = at / kGroup; i < at / kGroup + 4; ++i)
      out.min[i] = f16_to_f32(block.d), out.scale[i] = 2 * out.min[i];
  }
};

template <class Of>
void expand(const void* bytes, size_t values, const LevelTable* levels, BlockExpanded* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += Of::values, from += Of::bytes) {
    BlockExpanded& block = out[at / kPanel];
    if (at % kPanel == 0) block = {};
    Of::read(from, levels, block, at % kPanel);
  }
}

void decode_expanded(const BlockExpanded* blocks, size_t values, float* out) {
  for (size_t i = 0; i < values; ++i) {
    const BlockExpanded& block = blocks[i / kPanel];
    const size_t at = i % kPanel;
    out[i] = block.scale[at / kGroup] * float(block.q[at]) - block.min[at / kGroup];
  }
}
void stream_expanded(const WeightRows& w, const InputPanel* x, size_t x_stride, size_t x_rows, Lanes* sums) {
  for (size_t i = 0; i < w.rows; ++i) {
    for (size_t at = 0; at < w.n / kPanel; ++at) {
      BlockExpanded block;
      std::memcpy(&block, static_cast<const unsigned char*>(w.bytes) + i * w.row_bytes + at * sizeof(block),
                  sizeof(block));
      WeightPanel panel;
      std::memcpy(panel.q, block.q, kPanel);
      for (size_t j = 0; j < 16; ++j) panel.scale[j] = block.scale[j / 2], panel.min[j] = block.min[j / 2];
      for (size_t j = 0; j < x_rows; ++j)
        generic::add_panel(panel, x[j * x_stride + at], sums[i * x_rows + j]);
    }
  }
}

void decode_rf8(const void* bytes, size_t values, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += 128, from += sizeof(BlockRf8)) {
    const auto block = block_at<BlockRf8>(from);
    const float unit = std::ldexp(1.f, block.exponent - 1);
    for (size_t i = 0; i < 128; ++i)
      out[at + i] = unit * f16_to_f32(uint16_t((block.q[i] & 0x80) << 8 | (block.q[i] & 0x7f) << 7));
  }
}
void stream_rf8(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  float values[128];
  for (size_t i = 0; i < w_rows; ++i) {
    const auto* from = static_cast<const uint8_t*>(w) + i * w_bytes;
    for (size_t at = 0; at < n; at += 128, from += sizeof(BlockRf8)) {
      decode_rf8(from, 128, values);
      kernels_generic().dot_f32(values, 0, 1, x + at, 0, 1, 128, sums + i);
    }
  }
}

constexpr SideKernels kGeneric{.expand = {expand<Sets<2>>, expand<Sets<3>>, expand<Sets<4>>, expand<S4>,
                                          expand<Slim2>, expand<Dgq4>, expand<Q1>},
                               .decode_expanded = decode_expanded,
                               .stream_expanded = stream_expanded,
                               .decode_rf8 = decode_rf8,
                               .stream_rf8 = stream_rf8};

using Apply = void (*)(SideKernels&);
constexpr Apply kApply[std::size(kIsaNames)] = {
    [](SideKernels& table) { table = kGeneric; },
    [](SideKernels& table) {
      expanding_avx2(table), expanded_streams_avx2(table), expanded_wide_avx2(table);
      plain_wide_avx2(table), small_floats_avx2(table);
    },
    [](SideKernels& table) {
      expanding_avx512(table), expanded_streams_avx512(table), expanded_wide_avx512(table);
      plain_wide_avx512(table), small_floats_avx512(table);
    },
    [](SideKernels& table) { expanded_wide_amx(table); }};

struct Tables {
  SideKernels of[std::size(kIsaNames)];
  Tables() {
    for (size_t i = 0; i < std::size(kIsaNames); ++i) {
      if (i > 0) of[i] = of[i - 1];
      if (kernels_for(kIsaNames[i]) != nullptr) kApply[i](of[i]);
    }
  }
};

const Tables& tables() {
  static const Tables all;
  return all;
}

}  // namespace

const SideKernels& side_kernels() {
  static const SideKernels& chosen = side_kernels(kernels().isa);
  return chosen;
}

const SideKernels& side_kernels(const char* isa) {
  size_t i = 0;
  while (i + 1 < std::size(kIsaNames) && std::strcmp(kIsaNames[i], isa) != 0) ++i;
  return tables().of[i];
}

}  // namespace varve

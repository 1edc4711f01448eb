// Attention over rows as they are cached, by decoding one row at a time.
#include <cstring>
#include <vector>

#include "math/kernel/generic/generic.h"
#include "math/kernel/half.h"

namespace varve::generic {
namespace {

template <Format format>
std::vector<float> row_of(const void* rows, size_t index, size_t width) {
  const FormatShape& shape = kShapes[size_t(format)];
  std::vector<float> values(width);
  const size_t at = index * (width / shape.values * shape.bytes);
  kernels_generic().decode[size_t(format)](static_cast<const unsigned char*>(rows) + at, width,
                                           values.data());
  return values;
}

template <Format format>
void score_rows(const void* rows, size_t n, const float* queries, size_t count, size_t width, float factor,
                float* out, const void*) {
  for (size_t t = 0; t < n; ++t) {
    const std::vector<float> row = row_of<format>(rows, t, width);
    for (size_t q = 0; q < count; ++q) {
      Lanes sum{};
      kernels_generic().dot_f32(row.data(), width, 1, queries + q * width, width, 1, width, &sum);
      kernels_generic().finish(&sum, 1, out + q * kAttendTile + t);
      out[q * kAttendTile + t] *= factor;
    }
  }
}

template <Format format>
void mix_rows(const void* rows, size_t n, const float* shares, size_t count, size_t width, float* out,
              size_t stride, const void*) {
  std::vector<float> all;
  for (size_t t = 0; t < n; ++t) {
    const std::vector<float> row = row_of<format>(rows, t, width);
    all.insert(all.end(), row.begin(), row.end());
  }
  for (size_t q = 0; q < count; ++q)
    kernels_generic().mix(shares + q * kAttendTile, n, all.data(), width, width, out + q * stride);
}

template <Format format>
void set(Kernels& table) {
  table.score_rows[size_t(format)] = score_rows<format>;
  table.mix_rows[size_t(format)] = mix_rows<format>;
}

template <class Block>
float value_of(const unsigned char* block, size_t index) {
  Block it;
  std::memcpy(&it, block, sizeof(it));
  constexpr size_t bytes = sizeof(it.q);
  constexpr int bits = bytes == 8 ? 2 : 4;
  const int code = it.q[index % bytes] >> bits * int(index / bytes) & ((1 << bits) - 1);
  return f16_to_f32(it.least) + f16_to_f32(it.scale) * float(code);
}

template <class Block>
void mix_codes(const CodeRows& rows, const RowFactors& factors, size_t count, float* out, size_t stride) {
  const auto* block = static_cast<const unsigned char*>(rows.bytes);
  for (size_t r = 0; r < rows.rows; ++r) {
    for (size_t at = 0; at < rows.columns; at += kCodeColumns, block += sizeof(Block)) {
      for (size_t c = 0; c < kCodeColumns; ++c) {
        const float value = value_of<Block>(block, c);
        for (size_t i = 0; i < count; ++i)
          out[i * stride + at + c] += factors.at[i * factors.stride + r] * value;
      }
    }
  }
}

}  // namespace

void add_attend(Kernels& table) {
  set<Format::f32>(table);
  set<Format::f16>(table);
  set<Format::bf16>(table);
  set<Format::q8_0>(table);
  table.mix_codes2 = mix_codes<BlockCode2>;
  table.mix_codes4 = mix_codes<BlockCode4>;
}

}  // namespace varve::generic

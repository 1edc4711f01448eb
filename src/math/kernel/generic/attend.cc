// Attention over rows as they are cached, by decoding one row at a time.
#include <vector>

#include "math/kernel/generic/generic.h"

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
                float* out) {
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
              size_t stride) {
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

}  // namespace

void add_attend(Kernels& table) {
  set<Format::f32>(table);
  set<Format::f16>(table);
  set<Format::bf16>(table);
  set<Format::q8_0>(table);
}

}  // namespace varve::generic

// Who makes products of many rows of a codec's weights, if anybody does.
#pragma once

#include "math/ops/tile.h"

namespace varve {

struct Wide {
  void (*pack)(const float* x, size_t stride, size_t rows, size_t n, WideInputs* out, size_t apart);
  void (*multiply)(const WeightRows& w, const WideInputs* x, size_t x_rows, float* y, size_t stride,
                   bool add);
  int32_t inputs = 1;  // WideInputs that 16 rows of a panel take
};

inline std::optional<Wide> wide_of(const Codec& codec) {
  const SideKernels& side = side_kernels();
  const auto some = [](const Wide& wide) { return wide.multiply ? std::optional(wide) : std::nullopt; };
  const auto plain = [&](Plain kind) {
    return some({side.pack_plain, side.multiply_plain[size_t(kind)], int32_t(kPanel / kPlainDepth)});
  };
  if (expansion_of(codec)) return some({kernels().pack_wide, side.multiply_expanded});
  if (is_rf8(codec)) return plain(Plain::rf8);
  const auto format = multiplied_as(codec);
  if (!format) return std::nullopt;
  if (const auto own = kernels().multiply_wide[size_t(*format)]) return Wide{kernels().pack_wide, own};
  switch (*format) {
    case Format::f16: return plain(Plain::f16);
    case Format::bf16: return plain(Plain::bf16);
    default: return std::nullopt;
  }
}

}  // namespace varve

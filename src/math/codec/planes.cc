// See planes.h. T-MAC (Wei et al. 2024) and LUT Tensor Core (Mo et al. 2024) keep weights so. No types of
// GGUF.
#include "math/codec/planes.h"

#include <array>

#include "math/codec/plane_codec.h"

namespace varve {
namespace codec {
namespace {

constexpr std::array<float, 256> kSteps = [] {
  std::array<float, 256> levels{};
  for (size_t i = 0; i < levels.size(); ++i) levels[i] = float(i);
  return levels;
}();
template <size_t bits>
constexpr Grid kGrid{.group = kPlaneValues,
                     .levels = std::span<const float>(kSteps).first(size_t(1) << bits),
                     .mins = true,
                     .set_line = set_plane_line,
                     .set_code = set_plane_code<bits>};

}  // namespace

const Grid& plane_grid(size_t bits) {
  constexpr const Grid* kAll[] = {&kGrid<1>, &kGrid<2>, &kGrid<3>, &kGrid<4>,
                                  &kGrid<5>, &kGrid<6>, &kGrid<7>, &kGrid<8>};
  return *kAll[bits - 1];
}

}  // namespace codec

size_t planes_of(const Codec& codec) {
  const uint32_t past = codec.gguf_type().value_or(0) - codec::kFirstPlanes;
  return past < 8 ? past + 1 : 0;
}

}  // namespace varve

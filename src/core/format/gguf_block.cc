// Sizes of GGUF tensor types.
#include <algorithm>
#include <array>

#include "core/format/gguf.h"

namespace varve {
namespace {

// By type number. The numbers without values were withdrawn from the format and stay unused.
constexpr std::array<GgufBlock, 43> kBlocks = {{
    {1, 4, "f32"},
    {1, 2, "f16"},
    {32, 18, "q4_0"},
    {32, 20, "q4_1"},
    {},
    {},
    {32, 22, "q5_0"},
    {32, 24, "q5_1"},
    {32, 34, "q8_0"},
    {32, 36, "q8_1"},
    {256, 84, "q2_k"},
    {256, 110, "q3_k"},
    {256, 144, "q4_k"},
    {256, 176, "q5_k"},
    {256, 210, "q6_k"},
    {256, 292, "q8_k"},
    {256, 66, "iq2_xxs"},
    {256, 74, "iq2_xs"},
    {256, 98, "iq3_xxs"},
    {256, 50, "iq1_s"},
    {32, 18, "iq4_nl"},
    {256, 110, "iq3_s"},
    {256, 82, "iq2_s"},
    {256, 136, "iq4_xs"},
    {1, 1, "i8"},
    {1, 2, "i16"},
    {1, 4, "i32"},
    {1, 8, "i64"},
    {1, 8, "f64"},
    {256, 56, "iq1_m"},
    {1, 2, "bf16"},
    {},
    {},
    {},
    {256, 54, "tq1_0"},
    {256, 66, "tq2_0"},
    {},
    {},
    {},
    {32, 17, "mxfp4"},
    {64, 36, "nvfp4"},
    {128, 18, "q1_0"},
    {64, 18, "q2_0"},
}};

// Types that GGUF does not have and only this program reads, from kOwnTensorTypes on.
constexpr std::array<GgufBlock, 18> kOwnBlocks = {{
    {128, 3, "top1"},
    {64, 26, "s4_0"},
    {256, 78, "slim2"},
    {256, 106, "bitmod3"},
    {256, 138, "bitmod4"},
    {128, 129, "rf8"},
    {256, 138, "dgq4"},
    {128, 20, "bp1"},
    {128, 36, "bp2"},
    {128, 52, "bp3"},
    {128, 68, "bp4"},
    {128, 84, "bp5"},
    {128, 100, "bp6"},
    {128, 116, "bp7"},
    {128, 132, "bp8"},
    {256, 74, "codebook2"},
    {256, 106, "codebook3"},
    {256, 138, "codebook4"},
}};

}  // namespace

Result<GgufBlock> gguf_block(uint32_t type) {
  if (type < kBlocks.size() && kBlocks[type].values > 0) return kBlocks[type];
  if (type >= kOwnTensorTypes && type - kOwnTensorTypes < kOwnBlocks.size())
    return kOwnBlocks[type - kOwnTensorTypes];
  return Status(Code::not_found, "GGUF has no tensor type " + std::to_string(type) + " that is known here");
}

Result<int64_t> gguf_bytes(uint32_t type, std::span<const int64_t> shape) {
  const GgufBlock block = TRY(gguf_block(type));
  if (shape.empty() || shape.size() > 4) {
    return Status(Code::invalid, std::to_string(shape.size()) + " dimensions; there must be 1 to 4");
  }
  int64_t elements = 1, bytes = 0;
  for (int64_t dimension : shape) {
    if (dimension < 1)
      return Status(Code::invalid, "dimension " + std::to_string(dimension) + " is not positive");
    if (__builtin_mul_overflow(elements, dimension, &elements)) {
      return Status(Code::invalid, "more elements than 63 bits can count");
    }
  }
  if (shape[0] % block.values != 0) {
    return Status(Code::invalid, "rows of " + std::to_string(shape[0]) +
                                     " values, which is no multiple of the " + std::to_string(block.values) +
                                     " of a " + std::string(block.name) + " block");
  }
  if (__builtin_mul_overflow(elements / block.values, block.bytes, &bytes)) {
    return Status(Code::invalid, "more bytes than 63 bits can count");
  }
  return bytes;
}

int64_t GgufTensor::elements() const {
  int64_t count = 1;
  for (int64_t dimension : shape) count *= dimension;
  return count;
}

}  // namespace varve

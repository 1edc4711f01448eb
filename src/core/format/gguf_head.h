// The beginning of a GGUF file, for writers that bring the tensors' bytes themselves: one tensor after the
// other, each padded to the alignment.
#pragma once

#include "core/format/gguf.h"

namespace varve {

struct GgufHead {
  std::vector<std::byte> bytes;  // padded as well
  int64_t alignment = 32;
};
// Offsets of the tensors are not read: they follow from order and sizes.
Result<GgufHead> gguf_head(uint32_t version, const std::map<std::string, GgufValue, std::less<>>& metadata,
                           std::span<const GgufTensor> tensors);

}  // namespace varve

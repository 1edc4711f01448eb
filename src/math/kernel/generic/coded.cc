// bf16 in fewer bytes, place by place.
#include <algorithm>
#include <bit>
#include <cstring>

#include "math/kernel/generic/generic.h"

namespace varve::generic {
namespace {

uint64_t plane(const CodedGroup& group, size_t bit) {
  uint64_t bits;
  std::memcpy(&bits, group.planes[bit], sizeof(bits));
  return bits;
}
uint64_t others_of(const CodedGroup& group) {
  return plane(group, 0) & plane(group, 1) & plane(group, 2);
}

// A row that claims more others than it has room for goes on in its own bytes.
void unpack_bf16(const CodedRow& row, size_t first, size_t n, uint16_t* out) {
  const auto* bytes = static_cast<const unsigned char*>(row.bytes);
  const size_t room = row.row_bytes - 1 - row.n / kCodedValues * sizeof(CodedGroup);
  const unsigned char *others = bytes + 1, *groups = others + room;
  size_t used = 0;
  for (size_t at = 0; at < first + n; at += kCodedValues, groups += sizeof(CodedGroup)) {
    CodedGroup group;
    std::memcpy(&group, groups, sizeof(group));
    const uint64_t bits[] = {plane(group, 0), plane(group, 1), plane(group, 2)};
    for (size_t p = 0, other = used; at >= first && p < kCodedValues; ++p) {
      const auto below = unsigned((bits[0] >> p & 1) | (bits[1] >> p & 1) << 1 | (bits[2] >> p & 1) << 2);
      const auto exponent = uint8_t(below == 7 ? others[other++] : bytes[0] - below);
      const unsigned rest = group.rest[p];
      out[at - first + p % 16 / 4 * 16 + p / 16 * 4 + p % 4] =
          uint16_t((rest & 0x80) << 8 | unsigned(exponent) << 7 | (rest & 0x7f));
    }
    used = std::min(room, used + size_t(std::popcount(others_of(group))));
  }
}

}  // namespace

void add_coded(Kernels& table) {
  table.unpack_bf16 = unpack_bf16;
}

}  // namespace varve::generic

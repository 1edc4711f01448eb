// See df11.h. A row is its first exponent, the others in order, and groups of 64 values (CodedGroup).
#include "math/codec/df11.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "math/kernel/half.h"
#include "math/kernel/kernel.h"

namespace varve {
namespace {

constexpr unsigned kCodes = 7;
constexpr auto kGroupBytes = int64_t(sizeof(CodedGroup));

uint16_t half_of(float value) {  // a NaN that is bf16 stays the one that it is
  const uint32_t bits = float_bits(value);
  return (bits & 0xffff) == 0 ? uint16_t(bits >> 16) : f32_to_bf16(value);
}
unsigned exponent_of(uint16_t half) {
  return half >> 7 & 0xff;
}

struct Head {
  unsigned exponent = kCodes - 1;  // the largest that has a code
  int64_t others = 0;
};
// The seven that leave the fewest others; the largest of them, where several do.
Head head_of(std::span<const float> row) {
  std::array<int64_t, 256> count{};
  for (const float value : row) ++count[exponent_of(half_of(value))];
  int64_t covered = 0, most = -1;
  Head head;
  for (unsigned e = 0; e < count.size(); ++e) {
    covered += count[e] - (e >= kCodes ? count[e - kCodes] : 0);
    if (e >= kCodes - 1 && covered >= most) most = covered, head.exponent = e;
  }
  head.others = int64_t(row.size()) - most;
  return head;
}

}  // namespace

int64_t Df11::row_bytes(int64_t cols, int64_t others) {
  return 1 + others + cols / kGroup * kGroupBytes;
}

int64_t Df11::others(std::span<const float> row) {
  return head_of(row).others;
}

Result<std::shared_ptr<const Codec>> Df11::make(int64_t cols, int64_t row_bytes) {
  static_assert(kGroup == kCodedValues);
  if (cols < kGroup || cols % kGroup != 0)
    return Status(Code::invalid, "rows of " + std::to_string(cols) + " values are no whole groups of " +
                                     std::to_string(kGroup));
  if (row_bytes < Df11::row_bytes(cols, 0) || row_bytes > Df11::row_bytes(cols, cols))
    return Status(Code::invalid, std::to_string(row_bytes) + " bytes are not what a row of " +
                                     std::to_string(cols) + " values takes");
  return std::shared_ptr<const Codec>(new Df11(size_t(cols), size_t(row_bytes)));
}

void Df11::encode_row(const float* values, unsigned char* to) const {
  const Head head = head_of({values, cols_});
  std::memset(to, 0, bytes_);
  unsigned char* others = to + 1;
  unsigned char* const groups = to + bytes_ - cols_ / kGroup * sizeof(CodedGroup);
  to[0] = static_cast<unsigned char>(head.exponent);
  for (size_t at = 0; at < cols_; at += kGroup) {
    CodedGroup group{};
    for (size_t p = 0; p < size_t(kGroup); ++p) {
      const uint16_t half = half_of(values[at + p % 16 / 4 * 16 + p / 16 * 4 + p % 4]);
      const int below = int(head.exponent) - int(exponent_of(half));
      auto code = unsigned(std::clamp(below, 0, int(kCodes) - 1));
      if (int(code) != below && others < groups) {
        *others++ = static_cast<unsigned char>(exponent_of(half));
        code = kCodes;
      }
      for (size_t bit = 0; bit < 3; ++bit)
        group.planes[bit][p / 8] = uint8_t(group.planes[bit][p / 8] | (code >> bit & 1) << p % 8);
      group.rest[p] = uint8_t((half >> 8 & 0x80) | (half & 0x7f));
    }
    std::memcpy(groups + at / kGroup * sizeof(group), &group, sizeof(group));
  }
}

void Df11::encode(std::span<const float> values, std::span<std::byte> bytes) const {
  auto* to = reinterpret_cast<unsigned char*>(bytes.data());
  for (size_t at = 0; at < values.size(); at += cols_, to += bytes_) encode_row(values.data() + at, to);
}

void Df11::decode(std::span<const std::byte> bytes, std::span<float> values) const {
  for (size_t at = 0; at < values.size(); at += cols_, bytes = bytes.subspan(bytes_))
    decode_part(bytes.first(bytes_), 0, values.subspan(at, std::min(cols_, values.size() - at)));
}

void Df11::decode_part(std::span<const std::byte> row, size_t first, std::span<float> values) const {
  std::array<uint16_t, 512> part;  // whole groups, of which both ends may be cut
  for (size_t done = 0; done < values.size();) {
    const size_t at = first + done, left = values.size() - done, begin = at / kGroup * kGroup;
    const size_t end = std::min((at + left + kGroup - 1) / kGroup * kGroup, begin + part.size());
    kernels().unpack_bf16({row.data(), bytes_, cols_}, begin, end - begin, part.data());
    const size_t some = std::min(left, end - at);
    kernels().decode[size_t(Format::bf16)](part.data() + (at - begin), some, values.data() + done);
    done += some;
  }
}

}  // namespace varve

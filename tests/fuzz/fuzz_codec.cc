// Any bytes are some numbers in every format, whole or in parts, and numbers become some bytes again.
// Input: a byte for the format, then blocks; for codebooks their levels come first.
#include <cmath>
#include <cstring>
#include <vector>

#include "math/codec/codebook.h"
#include "math/codec/df11.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

namespace {

void check(const Codec& codec, const uint8_t* bytes, size_t size) {
  const size_t blocks = std::min<size_t>(size / codec.block_bytes(), 64);
  if (blocks == 0) return;
  const auto from = std::as_bytes(std::span(bytes, blocks * codec.block_bytes()));
  std::vector<float> values(blocks * codec.block_values()), part(values.size());
  codec.decode(from, values);
  const size_t step =
      std::max<size_t>(codec.block_values(), 64) / codec.block_values() * codec.block_values();
  for (size_t at = 0; !codec.coded() && at + step <= values.size(); at += step)
    codec.decode_part(from, at, std::span(part).subspan(at, step));
  const size_t whole = codec.coded() ? 0 : values.size() / step * step;
  for (size_t i = 0; i < whole; ++i) {
    const bool nan = std::isnan(values[i]) && std::isnan(part[i]);  // a NaN is any NaN
    CHECK(nan || std::memcmp(&values[i], &part[i], 4) == 0, "a part has other values");
  }
  std::vector<std::byte> again(from.size());
  codec.encode(values, again);
}

void check_own(const uint8_t* bytes, size_t size) {
  const size_t bits = 2 + bytes[0] % 3, levels = 4 << bits, cols = 64 * (1 + bytes[0] % 5u);
  if (size > 1 + levels) {
    std::vector<float> sets(levels);
    for (size_t i = 0; i < levels; ++i) sets[i] = float(int8_t(bytes[1 + i])) / 64;
    check(*Codebook::make(bits, std::move(sets)).value(), bytes + 1 + levels, size - 1 - levels);
  }
  if (auto row = Df11::make(int64_t(cols), int64_t(size) - 1); row.ok()) check(**row, bytes + 1, size - 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 2) return 0;
  static const auto names = codecs().names();
  check(**codec_named(names[bytes[0] % names.size()]), bytes + 1, size - 1);
  check_own(bytes, size);
  return 0;
}

#include "run/model/tokenizer/charsmap.h"

#include <cstring>

#include "run/model/tokenizer/unicode.h"

namespace varve {

Result<Charsmap> Charsmap::parse(std::string_view compiled) {
  uint32_t bytes = 0;
  if (compiled.size() < sizeof bytes)
    return Status(Code::corrupt, "tokenizer: precompiled_charsmap is too short");
  std::memcpy(&bytes, compiled.data(), sizeof bytes);
  compiled.remove_prefix(sizeof bytes);
  if (bytes == 0 || bytes % sizeof(uint32_t) != 0 || bytes >= compiled.size() || compiled.back() != 0) {
    return Status(Code::corrupt, "tokenizer: precompiled_charsmap is damaged");
  }
  Charsmap map;
  map.units_.resize(bytes / sizeof(uint32_t));
  std::memcpy(map.units_.data(), compiled.data(), bytes);
  map.replacements_ = compiled.substr(bytes);
  return map;
}

// A unit holds the label of the edge that leads to it (bits 0-7, and bit 31 set in values), whether a
// sequence ends there (bit 8), and what its index is combined with to find its children (bits 10-30, scaled
// by bit 9).
Charsmap::Match Charsmap::match(std::string_view text) const {
  constexpr uint32_t kValue = 1u << 31;
  const auto children = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  Match best;
  if (units_.empty()) return best;
  uint32_t at = children(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || (units_[at] & (kValue | 0xFF)) != byte) break;
    const bool ends = units_[at] >> 8 & 1;
    at ^= children(units_[at]);
    if (!ends || at >= units_.size()) continue;
    const uint32_t begin = units_[at] & ~kValue;
    if (begin < replacements_.size()) best = {i + 1, replacements_.data() + begin};
  }
  return best;
}

std::string Charsmap::normalize(std::string_view text) const {
  std::string out;
  while (!text.empty()) {
    const Match found = match(text);
    const unicode::Char c = unicode::first_char(text);
    if (found.bytes > 0) {
      out += found.replacement;
    } else {
      unicode::append(c.code, out);
    }
    text.remove_prefix(found.bytes > 0 ? found.bytes : c.bytes);
  }
  return out;
}

}  // namespace varve

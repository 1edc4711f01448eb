// The known pre-tokenizers: what their names mean.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace varve {

struct NamedPasses {
  std::string_view names;                  // separated by spaces
  std::array<std::string_view, 6> passes;  // expressions, or the two below; the rest is empty
  bool ignore_merges = false, add_bos = false, byte_level = true;  // see NamedPreTokenizer
};

inline constexpr std::string_view kThousandsPass = "#thousands";
inline constexpr std::string_view kThousandsBeforeBorderPass = "#thousands-before-border";
extern const std::string_view kGpt2Pattern;

std::span<const NamedPasses> named_passes();

}  // namespace varve

// The normalisation rules that SentencePiece compiles into its models: a double array trie (Aoe 1989) from
// byte sequences to their replacements.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve {

class Charsmap {
 public:
  Charsmap() = default;  // changes nothing
  static Result<Charsmap> parse(std::string_view compiled);

  // Replaces the longest sequences that have a rule, from the left; broken bytes become U+FFFD.
  std::string normalize(std::string_view text) const;
  int64_t held_bytes() const { return int64_t(units_.capacity() * 4 + replacements_.capacity()); }

 private:
  struct Match {
    size_t bytes = 0;  // 0: none
    std::string_view replacement;
  };
  Match match(std::string_view text) const;

  std::vector<uint32_t> units_;
  std::string replacements_;  // each ends with a zero byte
};

}  // namespace varve

// Sets of characters as sorted ranges, and the table that numbers the classes which a pattern's sets tell
// apart: characters of one class are alike to the pattern.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "run/model/tokenizer/unicode.h"

namespace varve {

class CharSet {
 public:
  using Range = std::pair<char32_t, char32_t>;  // both ends belong to it

  CharSet() = default;
  CharSet(std::vector<Range> ranges);
  static CharSet of_categories(uint32_t categories);
  static CharSet spaces();
  static CharSet everything() { return CharSet({{0, unicode::kLast}}); }
  // "L", "Lu", "N", "P", "Han", ... as in \p{Lu}; unsupported for other names.
  static Result<CharSet> named(std::string_view name);

  CharSet complement() const;
  CharSet with(const CharSet& other) const;
  CharSet without(const CharSet& other) const;
  CharSet with_other_case() const;  // of ASCII letters

  bool contains(char32_t code) const;
  const std::vector<Range>& ranges() const { return ranges_; }
  bool operator==(const CharSet& other) const { return ranges_ == other.ranges_; }

 private:
  std::vector<Range> ranges_;  // ascending, apart from each other
};

class CharClasses {
 public:
  CharClasses() = default;
  // unsupported when there are more than 250 classes.
  static Result<CharClasses> of(const std::vector<CharSet>& sets);

  uint8_t operator[](char32_t code) const { return pages_[size_t(page_[code >> 8]) << 8 | (code & 0xFF)]; }
  int count() const { return static_cast<int>(examples_.size()); }
  int64_t held_bytes() const { return int64_t(page_.capacity() * 2 + pages_.capacity()); }
  char32_t example(int number) const { return examples_[number]; }  // a member of the class

 private:
  std::vector<uint16_t> page_;
  std::vector<uint8_t> pages_;
  std::vector<char32_t> examples_;
};

}  // namespace varve

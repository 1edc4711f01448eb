// Pattern: the regular expressions by which BPE tokenizers cut text into words, compiled to a table that
// reads every character once.
//
// Understood: alternatives (the first that matches wins), groups, (?i: ), ? * + {m,n} (greedy; possessive is
// read as greedy), classes with ranges, \s \d \w \p{..} and &&, and looking one character ahead: (?!x) (?=x)
// $.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "run/model/tokenizer/split/char_set.h"

namespace varve {

class Pattern {
 public:
  // invalid: no such expression; unsupported: one that goes beyond the above, or is too large.
  static Result<Pattern> compile(std::string_view expression);

  // Appends the matches in `text` and what lies between them, in order; together they are the text. Broken
  // bytes count as U+FFFD each. Time is linear in the text.
  void split(std::string_view text, std::vector<std::string_view>& out) const;
  int64_t held_bytes() const { return classes_.held_bytes() + int64_t(table_.capacity() * 4); }

 private:
  friend class PatternCompiler;
  struct Tail;
  size_t match(std::string_view text, Tail& tail) const;

  CharClasses classes_;
  // By state and class (the last class is the end of the text): the next state, times 2, plus 1 when a match
  // ends before this character. State 0 is dead, state 1 the first.
  std::vector<uint32_t> table_;
  size_t width_ = 0;
};

// The parts of an expression, as the parser leaves them for the compiler.
struct PatternNode {
  enum Kind { set, look, sequence, choice, repeat } kind = sequence;
  int32_t set_number = 0;  // of set and look
  bool holds_at_end = false;
  int32_t least = 1, most = 1;  // of repeat; most -1: no limit
  std::vector<PatternNode> children;
};
struct ParsedPattern {
  PatternNode root;
  std::vector<CharSet> sets;
};
Result<ParsedPattern> parse_pattern(std::string_view expression);

}  // namespace varve

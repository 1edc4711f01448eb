// Template source to tokens: where text ends and tags begin, and which white space belongs to neither.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve::jinja {

struct Lexeme {
  enum Kind { text, block_begin, block_end, print_begin, print_end, name, string, integer, real, op, end };
  Kind kind = end;
  int line = 0;
  std::string_view text_of;  // of the source; a string without its quotes
};

// Newlines become \n and one at the very end is dropped, as Jinja does.
std::string normalize_newlines(std::string_view source);
// With trim_blocks and lstrip_blocks. The lexemes lie in `source`.
Result<std::vector<Lexeme>> lex(std::string_view source);

}  // namespace varve::jinja

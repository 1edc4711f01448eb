// Terms: text to what a lexical index stores. Words of letters and digits, lower case, English stop words
// dropped, Porter stems; scripts without spaces (Han, kana, Hangul, Thai) give overlapping pairs of
// characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct TermOptions {
  bool stem = true;
  bool stop = true;  // drop stop words
};

// Invalid UTF-8 separates words. Linear in the text; words over 64 bytes are cut there.
std::vector<std::string> terms_of(std::string_view text, const TermOptions& options = {});
// Of a query: when only stop words are there, they count.
std::vector<std::string> query_terms(std::string_view text);

}  // namespace varve

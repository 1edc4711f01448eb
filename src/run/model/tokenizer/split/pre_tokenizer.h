// PreTokenizer: how a BPE vocabulary wants text cut into words before merging, by the name that GGUF files
// give (tokenizer.ggml.pre) or by the patterns of a tokenizer.json.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "run/model/tokenizer/split/pattern.h"

namespace varve {

class PreTokenizer {
 public:
  // Adds a pass: every piece so far is cut further.
  Status add(std::string_view expression);
  // Words in order; together they are the text.
  void split(std::string_view text, std::vector<std::string_view>& words) const;
  int64_t held_bytes() const;

 private:
  // Digits in groups of three from the right, as numbers are written: not a regular cut from the left.
  enum class Thousands { no, everywhere, before_border };
  struct Pass {
    Pattern pattern;
    Thousands thousands = Thousands::no;
  };
  static void split_thousands(std::string_view text, Thousands kind, std::vector<std::string_view>& out);

  std::vector<Pass> passes_;
};

struct NamedPreTokenizer {
  PreTokenizer splitter;
  bool ignore_merges = false;  // a word that is a token is taken whole
  bool add_bos = false;        // unless the file says otherwise
  bool byte_level = true;      // words are bytes; else characters, with U+2581 for spaces
};
// unsupported, with the known names, when there is none of that name.
Result<NamedPreTokenizer> named_pre_tokenizer(std::string_view name);

}  // namespace varve

#include "memory/recall/query/terms.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "memory/recall/query/porter.h"

namespace varve {
namespace {

// Sorted, so that it can be searched by halving.
constexpr std::array<std::string_view, 89> kStop = {
    "a",     "about", "after", "an",    "and",   "are",    "as",   "at",    "be",    "been", "before", "but",
    "by",    "can",   "could", "d",     "did",   "do",     "does", "doing", "for",   "from", "had",    "has",
    "have",  "he",    "her",   "hers",  "him",   "his",    "how",  "i",     "if",    "in",   "into",   "is",
    "it",    "its",   "just",  "ll",    "m",     "me",     "my",   "no",    "not",   "of",   "on",     "or",
    "our",   "out",   "re",    "s",     "she",   "should", "so",   "some",  "t",     "than", "that",   "the",
    "their", "them",  "then",  "there", "these", "they",   "this", "those", "to",    "too",  "up",     "us",
    "ve",    "very",  "was",   "we",    "were",  "what",   "when", "where", "which", "who",  "whom",   "why",
    "will",  "with",  "would", "you",   "your"};
constexpr size_t kLongest = 64;

bool is_stop(std::string_view word) {
  return std::binary_search(kStop.begin(), kStop.end(), word);
}

enum class Kind : uint8_t { other, word, dense };

// Dense scripts are written without spaces between words.
bool dense(utf8proc_int32_t c) {
  return (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x3FFFF) || (c >= 0x0E00 && c <= 0x0EFF);
}

Kind kind_of(utf8proc_int32_t c) {
  if (c < 128) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return word ? Kind::word : Kind::other;
  }
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC: return dense(c) ? Kind::dense : Kind::word;
    default: return Kind::other;
  }
}

class Splitter {
 public:
  explicit Splitter(const TermOptions& options) : options_(options) {}

  void push(utf8proc_int32_t c) {
    const Kind kind = kind_of(c);
    if (kind != Kind::word) end_word();
    if (kind != Kind::dense) last_dense_.clear();
    if (kind == Kind::word && word_.size() < kLongest) append(utf8proc_tolower(c), word_);
    if (kind == Kind::dense) push_dense(c);
  }
  std::vector<std::string> finish() {
    end_word();
    return std::move(terms_);
  }

 private:
  static void append(utf8proc_int32_t c, std::string& out) {
    utf8proc_uint8_t bytes[4];
    out.append(reinterpret_cast<char*>(bytes), size_t(utf8proc_encode_char(c, bytes)));
  }
  void push_dense(utf8proc_int32_t c) {
    std::string one;
    append(c, one);
    terms_.push_back(last_dense_.empty() ? one : last_dense_ + one);
    last_dense_ = std::move(one);
  }
  void end_word() {
    std::string word = std::move(word_);
    word_.clear();
    if (word.empty() || (options_.stop && is_stop(word))) return;
    terms_.push_back(options_.stem ? porter_stem(std::move(word)) : std::move(word));
  }

  TermOptions options_;
  std::string word_, last_dense_;
  std::vector<std::string> terms_;
};

}  // namespace

std::vector<std::string> terms_of(std::string_view text, const TermOptions& options) {
  Splitter splitter(options);
  while (!text.empty()) {
    utf8proc_int32_t c = -1;
    const auto taken = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                        utf8proc_ssize_t(text.size()), &c);
    splitter.push(taken > 0 ? c : ' ');
    text.remove_prefix(taken > 0 ? size_t(taken) : 1);
  }
  return splitter.finish();
}

std::vector<std::string> query_terms(std::string_view text) {
  auto terms = terms_of(text);
  return terms.empty() ? terms_of(text, {.stem = true, .stop = false}) : terms;
}

}  // namespace varve

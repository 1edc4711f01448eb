#include "memory/plaintext/diff.h"

#include <algorithm>

namespace varve {
namespace {

constexpr size_t kWords = 600;        // up to so many words, words are compared
constexpr size_t kCells = 4'000'000;  // of the table of lengths

using Pieces = std::vector<std::string_view>;

// Words with the white space after them, or lines.
Pieces split(std::string_view text, bool lines) {
  Pieces pieces;
  while (!text.empty()) {
    size_t end = lines ? text.find('\n') : text.find_first_of(" \t\n");
    if (end != std::string_view::npos && !lines) end = text.find_first_not_of(" \t\n", end);
    if (end != std::string_view::npos && lines) ++end;
    pieces.push_back(text.substr(0, end));
    text.remove_prefix(pieces.back().size());
  }
  return pieces;
}

class Diff {
 public:
  void add(DiffPart::Kind kind, std::string_view text) {
    if (text.empty()) return;
    if (!parts_.empty() && parts_.back().kind == kind && parts_.back().text.end() == text.begin()) {
      parts_.back().text = {parts_.back().text.data(), parts_.back().text.size() + text.size()};
    } else {
      parts_.push_back({kind, text});
    }
  }

  // The longest common subsequence, from a table of the lengths of those of all endings.
  void middle(const Pieces& a, const Pieces& b) {
    const size_t width = b.size() + 1;
    std::vector<uint32_t> longest(a.size() * width + width);
    for (size_t i = a.size(); i-- > 0;) {
      for (size_t j = b.size(); j-- > 0;) {
        longest[i * width + j] = a[i] == b[j]
                                     ? longest[(i + 1) * width + j + 1] + 1
                                     : std::max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
      }
    }
    size_t i = 0, j = 0;
    while (i < a.size() || j < b.size()) {
      if (i < a.size() && j < b.size() && a[i] == b[j]) {
        add(DiffPart::Kind::same, a[i]);
        ++i, ++j;
      } else if (j == b.size() ||
                 (i < a.size() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
        add(DiffPart::Kind::removed, a[i++]);
      } else {
        add(DiffPart::Kind::added, b[j++]);
      }
    }
  }

  std::vector<DiffPart> take() { return std::move(parts_); }

 private:
  std::vector<DiffPart> parts_;
};

}  // namespace

std::vector<DiffPart> diff_texts(std::string_view before, std::string_view after) {
  Pieces a = split(before, false), b = split(after, false);
  if (std::max(a.size(), b.size()) > kWords) {
    a = split(before, true);
    b = split(after, true);
  }
  size_t head = 0, tail = 0;
  const size_t least = std::min(a.size(), b.size());
  while (head < least && a[head] == b[head]) ++head;
  while (tail < least - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  Diff diff;
  for (size_t i = 0; i < head; ++i) diff.add(DiffPart::Kind::same, a[i]);
  const Pieces from(a.begin() + int64_t(head), a.end() - int64_t(tail)),
      to(b.begin() + int64_t(head), b.end() - int64_t(tail));
  if (from.size() * to.size() <= kCells) {
    diff.middle(from, to);
  } else {
    for (const std::string_view piece : from) diff.add(DiffPart::Kind::removed, piece);
    for (const std::string_view piece : to) diff.add(DiffPart::Kind::added, piece);
  }
  for (size_t i = a.size() - tail; i < a.size(); ++i) diff.add(DiffPart::Kind::same, a[i]);
  return diff.take();
}

}  // namespace varve

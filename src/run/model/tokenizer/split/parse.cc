// Recursive descent over the expression; nesting is bounded, the text that it will cut plays no part here.
#include <algorithm>

#include "run/model/tokenizer/split/pattern.h"

namespace varve {
namespace {

constexpr int kDeepest = 16;
constexpr int32_t kMostRepeats = 1000;

class Parser {
 public:
  explicit Parser(std::string_view expression) : rest_(expression), length_(expression.size()) {}

  Result<ParsedPattern> parse() {
    PatternNode root = TRY(choice(0));
    if (!rest_.empty()) return wrong("a ) too many");
    return ParsedPattern{std::move(root), std::move(sets_)};
  }

 private:
  Status wrong(std::string what) const {
    return Status(Code::invalid,
                  "pattern: " + std::move(what) + " at byte " + std::to_string(length_ - rest_.size()));
  }
  Status beyond(std::string what) const { return Status(Code::unsupported, "pattern: " + std::move(what)); }

  bool skip(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  bool at(char c) const { return !rest_.empty() && rest_[0] == c; }

  Result<char32_t> character() {
    if (rest_.empty()) return wrong("it ends too early");
    const unicode::Char c = unicode::first_char(rest_);
    if (!c.valid) return wrong("broken UTF-8");
    rest_.remove_prefix(c.bytes);
    return c.code;
  }

  Result<PatternNode> choice(int depth) {
    if (depth > kDeepest) return beyond("groups too deep");
    PatternNode node{.kind = PatternNode::choice};
    do {
      PatternNode sequence;
      while (!rest_.empty() && !at('|') && !at(')')) sequence.children.push_back(TRY(repeated(depth)));
      node.children.push_back(std::move(sequence));
    } while (skip("|"));
    return node;
  }

  Result<PatternNode> repeated(int depth) {
    PatternNode node = TRY(atom(depth));
    PatternNode outer{.kind = PatternNode::repeat};
    if (skip("?")) {
      outer.least = 0;
    } else if (skip("*")) {
      outer.least = 0, outer.most = -1;
    } else if (skip("+")) {
      outer.most = -1;
    } else if (at('{')) {
      TRY(counts(outer));
    } else {
      return node;
    }
    if (at('?')) return beyond("lazy repetition");
    skip("+");
    if (at('*') || at('{')) return wrong("a repetition of a repetition");
    outer.children.push_back(std::move(node));
    return outer;
  }

  Status counts(PatternNode& node) {
    skip("{");
    node.least = node.most = TRY(number());
    if (skip(",")) node.most = at('}') ? -1 : TRY(number());
    if (!skip("}") || (node.most >= 0 && node.most < node.least)) return wrong("a bad {m,n}");
    return {};
  }

  Result<int32_t> number() {
    int32_t value = 0;
    if (rest_.empty() || rest_[0] < '0' || rest_[0] > '9') return wrong("no number");
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      value = value * 10 + (rest_[0] - '0');
      if (value > kMostRepeats) return beyond("more than 1000 repetitions");
      rest_.remove_prefix(1);
    }
    return value;
  }

  Result<PatternNode> atom(int depth) {
    if (skip("(?!")) return look(true);
    if (skip("(?=")) return look(false);
    if (skip("$")) return node_of(PatternNode::look, CharSet(), true);
    const bool folded = fold_;
    if (skip("(?i:")) {
      fold_ = true;
    } else if (!skip("(?:")) {
      if (rest_.starts_with("(?")) return beyond("this kind of group");
      if (!skip("(")) return node_of(PatternNode::set, TRY(set(depth)), false);
    }
    PatternNode inner = TRY(choice(depth + 1));
    fold_ = folded;
    if (!skip(")")) return wrong("a ) is missing");
    return inner;
  }

  Result<PatternNode> look(bool negative) {
    const CharSet ahead = TRY(set(0));
    if (!skip(")")) return beyond("looking further ahead than one character");
    return node_of(PatternNode::look, negative ? ahead.complement() : ahead, negative);
  }

  PatternNode node_of(PatternNode::Kind kind, CharSet set, bool holds_at_end) {
    if (fold_) set = set.with_other_case();
    auto known = std::find(sets_.begin(), sets_.end(), set);
    if (known == sets_.end()) known = sets_.insert(known, std::move(set));
    return {.kind = kind,
            .set_number = static_cast<int32_t>(known - sets_.begin()),
            .holds_at_end = holds_at_end};
  }

  Result<CharSet> set(int depth) {
    if (skip("[")) return bracket(depth + 1);
    if (skip("\\")) return escape();
    if (skip(".")) return CharSet({{'\n', '\n'}}).complement();
    if (at('^') || at('*') || at('+') || at('?') || at('{')) return wrong("a stray operator");
    const char32_t c = TRY(character());
    return CharSet({{c, c}});
  }

  // After the "[".
  Result<CharSet> bracket(int depth) {
    if (depth > kDeepest) return beyond("classes too deep");
    const bool negative = skip("^");
    CharSet all;
    for (bool first = true; first || !at(']'); first = false) {
      if (skip("&&")) {
        all = all.without(TRY(set(depth)).complement());
        continue;
      }
      CharSet part = at('[') && nested() ? TRY(set(depth)) : TRY(member());
      if (at('-') && rest_.size() > 1 && rest_[1] != ']') part = TRY(range(part));
      all = all.with(part);
    }
    skip("]");
    return negative ? all.complement() : all;
  }

  // Whether "[" opens a class inside a class; a "[" without its "]" stands for itself.
  bool nested() const { return rest_.starts_with("[^") && rest_.find("]]") != std::string_view::npos; }

  Result<CharSet> member() {
    if (skip("\\")) return escape();
    const char32_t c = TRY(character());
    return CharSet({{c, c}});
  }

  Result<CharSet> range(const CharSet& from) {
    skip("-");
    const CharSet to = TRY(member());
    const auto single = [](const CharSet& set) {
      return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].second;
    };
    if (!single(from) || !single(to) || from.ranges()[0].first > to.ranges()[0].first)
      return wrong("a bad range");
    return CharSet({{from.ranges()[0].first, to.ranges()[0].first}});
  }

  // After the "\".
  Result<CharSet> escape() {
    const char32_t c = TRY(character());
    if (c == 'p' || c == 'P') return property(c == 'P');
    if (c == 'x') return code_point();
    const CharSet digits = CharSet::of_categories(unicode::bit(unicode::Nd));
    const CharSet word = CharSet::of_categories(unicode::kLetter | unicode::kMark |
                                                unicode::bit(unicode::Nd) | unicode::bit(unicode::Pc));
    switch (c) {
      case 's': return CharSet::spaces();
      case 'S': return CharSet::spaces().complement();
      case 'd': return digits;
      case 'D': return digits.complement();
      case 'w': return word;
      case 'W': return word.complement();
      case 'n': return CharSet({{'\n', '\n'}});
      case 'r': return CharSet({{'\r', '\r'}});
      case 't': return CharSet({{'\t', '\t'}});
      case 'v': return CharSet({{'\v', '\v'}});
      case 'f': return CharSet({{'\f', '\f'}});
      default: break;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter) return beyond(std::string("\\") + static_cast<char>(c));
    return CharSet({{c, c}});
  }

  Result<CharSet> property(bool negative) {
    const size_t end = rest_.find('}');
    if (!skip("{") || end == std::string_view::npos) return wrong("a bad \\p");
    const CharSet set = TRY(CharSet::named(rest_.substr(0, end - 1)));
    rest_.remove_prefix(end);
    return negative ? set.complement() : set;
  }

  Result<CharSet> code_point() {
    char32_t code = 0;
    if (!skip("{")) return wrong("a bad \\x");
    while (!skip("}")) {
      const char32_t c = TRY(character());
      const bool digit = c >= '0' && c <= '9';
      const bool letter = c >= 'A' && c <= 'F';
      code = code * 16 + (digit ? c - '0' : c - 'A' + 10);
      if ((!digit && !letter) || code > unicode::kLast) return wrong("a bad \\x");
    }
    return CharSet({{code, code}});
  }

  std::string_view rest_;
  const size_t length_;
  bool fold_ = false;
  std::vector<CharSet> sets_;
};

}  // namespace

Result<ParsedPattern> parse_pattern(std::string_view expression) {
  if (expression.size() > 8192) return Status(Code::unsupported, "pattern: longer than 8192 bytes");
  return Parser(expression).parse();
}

}  // namespace varve

// Regular expressions: literals, classes, groups, alternatives, repetition, and anchors at the ends.
#include <algorithm>
#include <string>

#include "run/decode/shape/json_parts.h"

namespace varve::shape {
namespace {

constexpr int kGroups = 64;
constexpr size_t kPatternBytes = 10000;
constexpr int32_t kMostRepeats = 2000;

class Pattern {
 public:
  Pattern(Rules& rules, std::string_view text) : rules_(rules), text_(text) {}

  Result<Part> run() {
    if (text_.size() > kPatternBytes) return fail("is longer than 10000 bytes");
    const Part any = rules_.repeat(json_chars(rules_, {{0, 0x10FFFF}}), 0, kForever);
    std::vector<Part> choices;
    do {
      const bool from_start = take('^');
      const Part body = TRY(sequence(0));
      const bool to_end = take('$');
      choices.push_back(
          rules_.sequence({from_start ? rules_.nothing() : any, body, to_end ? rules_.nothing() : any}));
      if (to_end && !at_end() && peek() != '|') return fail("has an anchor inside");
    } while (take('|'));
    if (!at_end()) return fail("has an unexpected ')'");
    return rules_.choice(std::move(choices));
  }

 private:
  Status fail(const std::string& what) const {
    return Status(Code::unsupported, "the pattern '" + std::string(text_.substr(0, 80)) + "' " + what);
  }
  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? 0 : text_[at_]; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Result<Part> sequence(int depth) {
    std::vector<Part> parts;
    while (!at_end() && peek() != '|' && peek() != ')' && !(peek() == '$' && depth == 0)) {
      const Part atom = TRY(this->atom(depth));
      parts.push_back(TRY(repeated(atom)));
      if (rules_.full()) return fail("is too large");
    }
    return parts.empty() ? rules_.nothing() : rules_.sequence(std::move(parts));
  }

  Result<Part> atom(int depth) {
    const char c = peek();
    if (c == '(') return group(depth);
    if (c == '[') return json_chars(rules_, TRY(char_class()));
    if (c == '^' || c == '$') return fail("has an anchor inside");
    if (c == '*' || c == '+' || c == '?' || c == '{') return fail("repeats nothing");
    if (c == '.') {
      ++at_;
      return json_chars(rules_, inverted({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
    }
    if (c == '\\') return json_chars(rules_, TRY(escape()));
    const uint32_t code = TRY(character());
    return json_chars(rules_, {{code, code}});
  }

  Result<Part> group(int depth) {
    ++at_;
    if (depth >= kGroups) return fail("nests groups deeper than 64");
    if (take('?') && !take(':')) return fail("looks ahead or behind, or names a group");
    std::vector<Part> choices;
    do {
      choices.push_back(TRY(sequence(depth + 1)));
    } while (take('|'));
    if (!take(')')) return fail("has an unclosed '('");
    return rules_.choice(std::move(choices));
  }

  Result<Part> repeated(Part atom) {
    int32_t least = 0, most = kForever;
    if (take('+')) {
      least = 1;
    } else if (take('?')) {
      most = 1;
    } else if (take('{')) {
      least = TRY(number());
      most = least;
      if (take(',')) most = peek() == '}' ? kForever : TRY(number());
      if (!take('}') || (most != kForever && most < least)) return fail("has a broken repetition");
    } else if (!take('*')) {
      return atom;
    }
    take('?');  // lazy: the same texts
    return rules_.repeat(atom, least, most);
  }

  Result<int32_t> number() {
    int32_t value = 0;
    if (peek() < '0' || peek() > '9') return fail("has a broken repetition");
    for (; peek() >= '0' && peek() <= '9'; ++at_)
      value = std::min(value * 10 + (peek() - '0'), kMostRepeats + 1);
    if (value > kMostRepeats) return fail("repeats more than 2000 times");
    return value;
  }

  Result<uint32_t> character() {
    const uint8_t first = uint8_t(text_[at_]);
    const size_t bytes = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (at_ + bytes > text_.size() || (first >= 0x80 && first < 0xC2)) return fail("is no UTF-8");
    uint32_t code = bytes == 1 ? first : first & (0xFFu >> (bytes + 1));
    for (size_t i = 1; i < bytes; ++i) code = code << 6 | (uint8_t(text_[at_ + i]) & 0x3F);
    at_ += bytes;
    return code;
  }

  Result<Ranges> char_class() {
    ++at_;
    const bool not_these = take('^');
    Ranges ranges;
    while (!at_end() && peek() != ']') {
      const Ranges one = TRY(member());
      const bool single = one.size() == 1 && one[0].first == one[0].last;
      if (single && peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        const Ranges other = TRY(member());
        if (other.size() != 1 || other[0].first != other[0].last || other[0].first < one[0].first) {
          return fail("has a broken range");
        }
        ranges.push_back({one[0].first, other[0].first});
      } else {
        ranges.insert(ranges.end(), one.begin(), one.end());
      }
    }
    if (!take(']')) return fail("has an unclosed '['");
    return not_these ? inverted(ranges) : normalized(ranges);
  }
  Result<Ranges> member() {
    if (at_end()) return fail("has an unclosed '['");
    if (peek() == '\\') return escape();
    const uint32_t code = TRY(character());
    return Ranges{{code, code}};
  }

  Result<Ranges> escape() {
    ++at_;
    const char c = peek();
    ++at_;
    const Ranges digit{{'0', '9'}}, word{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    const Ranges space{{9, 13}, {' ', ' '}, {0xA0, 0xA0}, {0x2028, 0x2029}, {0xFEFF, 0xFEFF}};
    switch (c) {
      case 'd': return digit;
      case 'D': return inverted(digit);
      case 'w': return word;
      case 'W': return inverted(word);
      case 's': return space;
      case 'S': return inverted(space);
      case 'n': return Ranges{{'\n', '\n'}};
      case 'r': return Ranges{{'\r', '\r'}};
      case 't': return Ranges{{'\t', '\t'}};
      case 'f': return Ranges{{'\f', '\f'}};
      case 'x': return hex(2);
      case 'u': return hex(4);
      default: break;
    }
    const bool letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == 0;
    if (letter) return fail(std::string("has the escape '\\") + c + "'");
    --at_;
    const uint32_t code = TRY(character());
    return Ranges{{code, code}};
  }
  Result<Ranges> hex(int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits; ++i) {
      const char d = peek(), low = char(d | 32);
      const bool number = d >= '0' && d <= '9';
      if (!number && (low < 'a' || low > 'f')) return fail("has a broken escape");
      code = code << 4 | uint32_t(number ? d - '0' : low - 'a' + 10);
      ++at_;
    }
    if (code >= 0xD800 && code < 0xE000) return fail("has half a character");
    return Ranges{{code, code}};
  }

  Rules& rules_;
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Result<Part> pattern_part(Rules& rules, std::string_view pattern) {
  return Pattern(rules, pattern).run();
}

}  // namespace varve::shape

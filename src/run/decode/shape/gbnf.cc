// One pass, with a list of open groups instead of recursion.
#include "run/decode/shape/gbnf.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

namespace varve::shape {
namespace {

constexpr size_t kTextBytes = 1 << 20;
constexpr int32_t kMostRepeats = 2000;  // written as {n}

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  Parser(std::string_view text, Rules& rules) : text_(text), rules_(rules) {}

  Result<Rule> run() {
    if (text_.size() > kTextBytes) return fail("the grammar is longer than 1 MiB");
    for (skip_blank(true); !at_end(); skip_blank(true)) TRY(rule());
    for (const auto& [name, known] : names_) {
      if (!known.defined) return fail("the rule '" + name + "' is used and not defined");
    }
    const auto root = names_.find("root");
    if (root == names_.end()) return fail("there is no rule named 'root'");
    return root->second.rule;
  }

 private:
  struct Name {
    Rule rule = 0;
    bool defined = false;
  };
  struct Group {  // an open parenthesis, or the rule itself
    std::vector<Part> choices, sequence;
    bool repeatable = false;  // the last of `sequence` may be followed by * + ? {}
  };

  Status fail(const std::string& what) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + at_, '\n');
    return Status(Code::invalid, "grammar, line " + std::to_string(line) + ": " + what);
  }
  bool at_end() const { return at_ >= text_.size(); }
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0; }
  bool take(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }

  void skip_blank(bool newlines) {
    while (!at_end()) {
      const char c = peek();
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        break;
      }
    }
  }

  std::string name() {
    const size_t begin = at_;
    while (is_name(peek())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  Name& known(const std::string& name) {
    const auto [at, fresh] = names_.emplace(name, Name{});
    if (fresh) at->second.rule = rules_.declare();
    return at->second;
  }

  Status rule() {
    const std::string called = name();
    if (called.empty()) return fail("expected the name of a rule");
    skip_blank(false);
    if (!take("::=")) return fail("expected '::=' after '" + called + "'");
    Name& mine = known(called);
    if (mine.defined) return fail("the rule '" + called + "' is defined twice");
    mine.defined = true;
    skip_blank(true);
    const Part body = TRY(alternatives());
    rules_.define(mine.rule, body);
    if (rules_.full()) return fail("the grammar is too large");
    return {};
  }

  // Up to the end of the rule: a newline outside all groups after which no '|' follows.
  Result<Part> alternatives() {
    groups_.assign(1, {});
    for (;;) {
      skip_blank(groups_.size() > 1);
      const char c = peek();
      if (at_end() || c == '\n' || c == '\r') {
        const size_t here = at_;
        skip_blank(true);
        if (peek() == '|') continue;
        at_ = here;
        break;
      }
      TRY(item(c));
      if (rules_.full()) return fail("the grammar is too large");
    }
    if (groups_.size() > 1) return fail("a '(' is not closed");
    return close();
  }

  Status item(char c) {
    if (c == '"') return literal();
    if (c == '[') return char_class();
    if (c == '.') {
      ++at_;
      push(rules_.chars({{0, 0x10FFFF}}));
    } else if (is_name(c)) {
      push(rules_.call(known(name()).rule));
    } else if (c == '(') {
      ++at_;
      if (groups_.size() >= size_t(kDepth)) return fail("groups are nested deeper than 256");
      groups_.push_back({});
    } else if (c == ')') {
      if (groups_.size() == 1) return fail("unexpected ')'");
      ++at_;
      const Part group = close();
      groups_.pop_back();
      push(group);
    } else if (c == '|') {
      ++at_;
      end_sequence();
      skip_blank(true);
    } else if (c == '*' || c == '+' || c == '?' || c == '{') {
      return repeat(c);
    } else {
      return fail(std::string("unexpected '") + c + "'");
    }
    return {};
  }

  void push(Part part) {
    groups_.back().sequence.push_back(part);
    groups_.back().repeatable = true;
  }
  void end_sequence() {
    Group& group = groups_.back();
    group.choices.push_back(group.sequence.empty() ? rules_.nothing()
                                                   : rules_.sequence(std::move(group.sequence)));
    group.sequence.clear();
    group.repeatable = false;
  }
  Part close() {
    end_sequence();
    return rules_.choice(std::move(groups_.back().choices));
  }

  Status repeat(char c) {
    Group& group = groups_.back();
    if (!group.repeatable) return fail(std::string("nothing before '") + c + "' to repeat");
    ++at_;
    int32_t least = c == '+' ? 1 : 0, most = c == '?' ? 1 : kForever;
    if (c == '{') {
      least = TRY(count());
      most = least;
      if (take(",")) {
        skip_blank(false);
        most = peek() == '}' ? kForever : TRY(count());
      }
      if (!take("}")) return fail("expected '}'");
      if (most != kForever && most < least) return fail("the repetition ends below where it begins");
    }
    group.sequence.back() = rules_.repeat(group.sequence.back(), least, most);
    return {};
  }
  Result<int32_t> count() {
    skip_blank(false);
    int32_t value = 0;
    if (peek() < '0' || peek() > '9') return fail("expected a number");
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + (peek() - '0');
      if (value > kMostRepeats) return fail("a repetition is of 2000 at most");
    }
    skip_blank(false);
    return value;
  }

  Status literal() {
    ++at_;
    std::string bytes;
    while (peek() != '"') {
      if (at_end()) return fail("a literal is not closed");
      if (peek() == '\\') {
        append(bytes, TRY(escape()));
      } else {
        bytes.push_back(text_[at_++]);
      }
    }
    ++at_;
    push(rules_.text(bytes));
    return {};
  }

  Status char_class() {
    ++at_;
    const bool not_these = take("^");
    Ranges ranges;
    while (peek() != ']') {
      const uint32_t first = TRY(character());
      uint32_t last = first;
      if (peek() == '-' && peek(1) != ']') {
        ++at_;
        last = TRY(character());
      }
      if (last < first) return fail("a range of characters ends before it begins");
      ranges.push_back({first, last});
    }
    ++at_;
    push(rules_.chars(not_these ? inverted(ranges) : ranges));
    return {};
  }

  Result<uint32_t> character() {
    if (at_end()) return fail("a '[' is not closed");
    if (peek() == '\\') return escape();
    const uint8_t first = uint8_t(peek());
    const int more = first < 0x80                    ? 0
                     : first >= 0xC2 && first < 0xE0 ? 1
                     : first >= 0xE0 && first < 0xF0 ? 2
                     : first >= 0xF0 && first < 0xF5 ? 3
                                                     : -1;
    uint32_t code = more == 0 ? first : more > 0 ? first & (0x3Fu >> more) : 0;
    for (int i = 1; i <= more; ++i) {
      if ((uint8_t(peek(size_t(i))) & 0xC0) != 0x80) return fail("a class holds broken UTF-8");
      code = code << 6 | (uint8_t(peek(size_t(i))) & 0x3F);
    }
    if (more < 0) return fail("a class holds broken UTF-8");
    at_ += size_t(more) + 1;
    return code;
  }

  Result<uint32_t> escape() {
    static constexpr std::string_view kNames = "trn\\\"[]-^", kMeans = "\t\r\n\\\"[]-^";
    const char c = peek(1);
    at_ += 2;
    if (const size_t at = kNames.find(c); at != kNames.npos && c != 0) return uint32_t(uint8_t(kMeans[at]));
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) return fail("an escape that is not known");
    uint32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char d = peek(), low = char(d | 32);
      const bool number = d >= '0' && d <= '9';
      if (!number && (low < 'a' || low > 'f'))
        return fail("an escape needs " + std::to_string(digits) + " hex digits");
      code = code << 4 | uint32_t(number ? d - '0' : low - 'a' + 10);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return fail("an escape that is no character");
    return code;
  }

  static void append(std::string& out, uint32_t code) {
    if (code < 0x80) {
      out.push_back(char(code));
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr uint32_t kFirst[] = {0, 0xC0, 0xE0, 0xF0};
    out.push_back(char(kFirst[more] | code >> (6 * more)));
    for (int i = more; i-- > 0;) out.push_back(char(0x80 | (code >> (6 * i) & 0x3F)));
  }

  std::string_view text_;
  Rules& rules_;
  size_t at_ = 0;
  std::unordered_map<std::string, Name> names_;
  std::vector<Group> groups_;
};

}  // namespace

Result<Rule> parse_gbnf(std::string_view text, Rules& rules) {
  return Parser(text, rules).run();
}

}  // namespace varve::shape

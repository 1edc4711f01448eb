#include "run/model/template/lexer.h"

#include <algorithm>

#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_hex(char c) {
  return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Lexeme>> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag();
      if (tag == source_.size()) {
        add(Lexeme::text, source_.substr(at_));
        break;
      }
      const char kind = source_[tag + 1];
      add_text(tag, kind != '{');
      skip(2 + (sign(tag + 2) != 0));
      if (kind == '#') {
        TRY(comment());
      } else if (kind == '{') {
        TRY(inside(Lexeme::print_begin, Lexeme::print_end, '}'));
      } else if (!raw_begins()) {
        TRY(inside(Lexeme::block_begin, Lexeme::block_end, '%'));
      } else {
        TRY(raw());
      }
    }
    add(Lexeme::end, {});
    return std::move(out_);
  }

 private:
  Status fail(const std::string& what) const {
    return Status(Code::invalid, "line " + std::to_string(line_) + ": " + what);
  }
  void add(Lexeme::Kind kind, std::string_view text) {
    if (kind != Lexeme::text || !text.empty()) out_.push_back({kind, line_, text});
  }
  void skip(size_t bytes) {
    line_ += int(std::count(source_.begin() + at_, source_.begin() + at_ + bytes, '\n'));
    at_ += bytes;
  }
  bool starts(size_t at, std::string_view with) const { return source_.substr(at, with.size()) == with; }
  char sign(size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : 0;
  }
  size_t next_tag() const {
    for (size_t at = at_; (at = source_.find('{', at)) < source_.size() - 1; ++at) {
      if (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#') return at;
    }
    return source_.size();
  }

  // The text before a tag that begins at `tag`, less the white space that the tag takes away.
  void add_text(size_t tag, bool strips_line) {
    std::string_view text = source_.substr(at_, tag - at_);
    const char control = sign(tag + 2);
    if (control == '-') {
      text = strip_right(text);
    } else if (control == 0 && strips_line) {
      const size_t line = text.rfind('\n') + 1;  // 0 when there is none
      if ((line > 0 || line_starting_) && strip(text.substr(line)).empty()) text = text.substr(0, line);
    }
    add(Lexeme::text, text);
    skip(tag - at_);
  }

  // At a tag's closing characters: passes them and the white space after them.
  void close(std::string_view closing, bool trims_newline) {
    const char control = sign(at_);
    skip((control != 0) + closing.size());
    const size_t before = at_;
    if (control == '-') {
      skip(source_.size() - at_ - strip_left(source_.substr(at_)).size());
    } else if (control == 0 && trims_newline && starts(at_, "\n")) {
      skip(1);
    }
    line_starting_ = at_ > before && source_[at_ - 1] == '\n';
  }

  Status comment() {
    const size_t end = source_.find("#}", at_);
    if (end == source_.npos) return fail("a comment is not closed with #}");
    skip(end - at_ - (end > at_ && sign(end - 1) != 0));
    close("#}", true);
    return {};
  }

  size_t after_word(size_t at, std::string_view word) const {  // npos when it is not there
    while (at < source_.size() && is_space(uint8_t(source_[at]))) ++at;
    if (!starts(at, word)) return source_.npos;
    at += word.size();
    while (at < source_.size() && is_space(uint8_t(source_[at]))) ++at;
    return at;
  }
  bool raw_begins() {
    const size_t at = after_word(at_, "raw");
    if (at == source_.npos || !(starts(at, "%}") || starts(at, "-%}"))) return false;
    skip(at - at_);
    return true;
  }
  Status raw() {
    close("%}", false);
    for (size_t tag = at_; (tag = source_.find("{%", tag)) != source_.npos; tag += 2) {
      const size_t end = after_word(tag + 2 + (sign(tag + 2) != 0), "endraw");
      if (end == source_.npos || !starts(end + (end < source_.size() && sign(end) != 0), "%}")) continue;
      add_text(tag, true);
      skip(end - at_);
      close("%}", true);
      return {};
    }
    return fail("a raw block is not closed with endraw");
  }

  Status inside(Lexeme::Kind begin, Lexeme::Kind end, char closing) {
    const char close_with[] = {closing, '}'};
    const std::string_view closer(close_with, 2);
    add(begin, {});
    std::string open;  // brackets; while one is open, }} closes two of them and not the tag
    for (;;) {
      while (at_ < source_.size() && is_space(uint8_t(source_[at_]))) skip(1);
      if (at_ == source_.size()) return fail("a tag is not closed with " + std::string(closer));
      const char control = sign(at_);
      const bool signed_close = control == '-' || (control == '+' && closing == '%');
      if (open.empty() && (starts(at_, closer) || (signed_close && starts(at_ + 1, closer)))) {
        add(end, {});
        close(closer, closing == '%');
        return {};
      }
      TRY(token(open));
    }
  }

  Status token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    size_t end = at_;
    while (end < source_.size() && is_name(source_[end])) ++end;
    if (end > at_) {
      emit(Lexeme::name, end - at_);
      return {};
    }
    return punctuation(open);
  }
  void emit(Lexeme::Kind kind, size_t bytes) {
    add(kind, source_.substr(at_, bytes));
    skip(bytes);
  }

  Status string(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return fail("a string is not closed");
    add(Lexeme::string, source_.substr(at_ + 1, end - at_ - 1));
    skip(end + 1 - at_);
    return {};
  }

  size_t digits(size_t at) const {  // past digits that may have single underscores between them
    while (at < source_.size() && (is_digit(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() &&
                                                             is_digit(source_[at + 1])))) {
      ++at;
    }
    return at;
  }
  bool digit_at(size_t at) const { return at < source_.size() && is_digit(source_[at]); }
  Status number() {
    size_t end = digits(at_);
    if (end == at_ + 1 && source_[at_] == '0' && end + 1 < source_.size()) {
      const char base = char(source_[end] | 32);
      if ((base == 'x' || base == 'o' || base == 'b') && is_hex(source_[end + 1])) {
        for (++end; end < source_.size() && (is_hex(source_[end]) || source_[end] == '_');) ++end;
        emit(Lexeme::integer, end - at_);
        return {};
      }
    }
    bool real = false;
    const bool after_dot = !out_.empty() && out_.back().kind == Lexeme::op && out_.back().text_of == ".";
    if (!after_dot && end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
      real = true;
      end = digits(end + 1);
    }
    if (!after_dot && end + 1 < source_.size() && (source_[end] | 32) == 'e') {
      const size_t first = end + 1 + (sign(end + 1) != 0);
      if (digit_at(first)) {
        real = true;
        end = digits(first);
      }
    }
    emit(real ? Lexeme::real : Lexeme::integer, end - at_);
    return {};
  }

  Status punctuation(std::string& open) {
    static constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    const char c = source_[at_];
    for (const std::string_view two : kTwo) {
      if (starts(at_, two)) {
        emit(Lexeme::op, 2);
        return {};
      }
    }
    if (std::string_view("+-/*%~[](){}<>=.:|,").find(c) == std::string_view::npos) {
      return fail(std::string("unexpected character '") + c + "'");
    }
    if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) return fail(std::string("unexpected '") + c + "'");
      open.pop_back();
    }
    emit(Lexeme::op, 1);
    return {};
  }

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Lexeme> out_;
};

}  // namespace

std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out.push_back(source[i]);
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

Result<std::vector<Lexeme>> lex(std::string_view source) {
  if (source.empty()) return std::vector<Lexeme>{{Lexeme::end, 1, {}}};
  return Lexer(source).run();
}

}  // namespace varve::jinja

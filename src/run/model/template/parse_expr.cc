// Expressions, by precedence: inline if, or, and, not, comparison, + -, ~, * / // %, **, sign, postfix,
// filter.
#include <algorithm>
#include <charconv>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/parser.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

Op sum_op(const Lexeme& l, bool& is) {
  is = l.kind == Lexeme::op && (l.text_of == "+" || l.text_of == "-");
  return l.text_of == "+" ? Op::add : Op::subtract;
}
Op product_op(const Lexeme& l, bool& is) {
  is = l.kind == Lexeme::op;
  if (l.text_of == "*") return Op::multiply;
  if (l.text_of == "/") return Op::divide;
  if (l.text_of == "//") return Op::floor_divide;
  is = is && l.text_of == "%";
  return Op::modulo;
}
Op power_op(const Lexeme& l, bool& is) {
  is = l.kind == Lexeme::op && l.text_of == "**";
  return Op::power;
}
Op comparison_op(const Lexeme& l, bool& is) {
  is = l.kind == Lexeme::op;
  if (l.text_of == "==") return Op::equal;
  if (l.text_of == "!=") return Op::not_equal;
  if (l.text_of == "<") return Op::less;
  if (l.text_of == "<=") return Op::less_equal;
  if (l.text_of == ">") return Op::greater;
  is = is && l.text_of == ">=";
  return Op::greater_equal;
}

uint32_t hex_value(std::string_view digits) {
  uint32_t value = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
  return end == digits.data() + digits.size() ? value : 0xFFFFFFFF;
}

// One escape at raw[at] (after the backslash); returns how many bytes it took, 0 when it is none.
size_t escape(std::string_view raw, size_t at, std::string& out) {
  static constexpr std::string_view kNames = "ntr\\'\"abfv", kMeans = "\n\t\r\\'\"\a\b\f\v";
  const char c = raw[at];
  if (const size_t known = kNames.find(c); known != kNames.npos) {
    out.push_back(kMeans[known]);
    return 1;
  }
  if (c == '\n') return 1;
  if (c >= '0' && c <= '7') {
    uint32_t code = 0;
    size_t used = 0;
    for (; used < 3 && at + used < raw.size() && raw[at + used] >= '0' && raw[at + used] <= '7'; ++used) {
      code = code * 8 + uint32_t(raw[at + used] - '0');
    }
    put_char(out, code);
    return used;
  }
  const size_t width = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (width == 0 || at + 1 + width > raw.size()) return 0;
  uint32_t code = hex_value(raw.substr(at + 1, width));
  size_t used = 1 + width;
  const bool pair =
      code >= 0xD800 && code < 0xDC00 && raw.substr(at + used, 2) == "\\u" && at + used + 6 <= raw.size();
  if (pair) {
    const uint32_t low = hex_value(raw.substr(at + used + 2, 4));
    if (low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      used += 6;
    }
  }
  if (code > 0x10FFFF) return 0;
  put_char(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
  return used;
}

}  // namespace

std::string unescape(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (size_t at = 0; at < raw.size();) {
    if (raw[at] == '\\' && at + 1 < raw.size()) {
      if (const size_t used = escape(raw, at + 1, out); used > 0) {
        at += 1 + used;
        continue;
      }
    }
    out.push_back(raw[at++]);
  }
  return out;
}

Result<ExprPtr> Parser::chain_of(Expr::Kind kind, Result<ExprPtr> (Parser::*part)(),
                                 Op (*op)(const Lexeme&, bool&)) {
  ExprPtr first = TRY((this->*part)());
  bool is = false;
  Op which = op(now(), is);
  if (!is) return first;
  ExprPtr chain = make(kind);
  chain = TRY(add(std::move(chain), std::move(first)));
  for (; is; which = op(now(), is)) {
    next();
    chain->ops.push_back(which);
    chain = TRY(add(std::move(chain), TRY((this->*part)())));
  }
  return chain;
}

Result<ExprPtr> Parser::expression() {
  if (++depth_ > kParseDepth) return fail("nested too deeply");
  ExprPtr value = TRY(disjunction());
  while (skip_word("if")) {
    ExprPtr e = make(Expr::condition);
    e = TRY(add(std::move(e), std::move(value)));
    e = TRY(add(std::move(e), TRY(disjunction())));
    e = TRY(add(std::move(e), skip_word("else") ? TRY(expression()) : nullptr));
    value = std::move(e);
  }
  --depth_;
  return value;
}

Result<ExprPtr> Parser::tuple_or_one(bool with_inline_if) {
  ExprPtr first = with_inline_if ? TRY(expression()) : TRY(disjunction());
  if (!is_op(",")) return first;
  ExprPtr e = make(Expr::tuple);
  e = TRY(add(std::move(e), std::move(first)));
  while (skip_op(",")) {
    if (now().kind == Lexeme::block_end || now().kind == Lexeme::print_end || is_op(")")) break;
    e = TRY(add(std::move(e), with_inline_if ? TRY(expression()) : TRY(disjunction())));
  }
  return e;
}

Result<ExprPtr> Parser::disjunction() {
  ExprPtr first = TRY(conjunction());
  if (!is_word("or")) return first;
  ExprPtr e = make(Expr::any);
  e = TRY(add(std::move(e), std::move(first)));
  while (skip_word("or")) e = TRY(add(std::move(e), TRY(conjunction())));
  return e;
}

Result<ExprPtr> Parser::conjunction() {
  ExprPtr first = TRY(negation());
  if (!is_word("and")) return first;
  ExprPtr e = make(Expr::all);
  e = TRY(add(std::move(e), std::move(first)));
  while (skip_word("and")) e = TRY(add(std::move(e), TRY(negation())));
  return e;
}

Result<ExprPtr> Parser::negation() {
  bool odd = false, any = false;
  while (skip_word("not")) {
    odd = !odd;
    any = true;
  }
  ExprPtr e = TRY(comparison());
  if (!any) return e;
  e = TRY(add(make(Expr::invert), std::move(e)));
  return odd ? std::move(e) : add(make(Expr::invert), std::move(e));
}

Result<ExprPtr> Parser::comparison() {
  ExprPtr first = TRY(sum());
  ExprPtr chain;
  for (;;) {
    bool is = false;
    Op op = comparison_op(now(), is);
    if (!is && is_word("in")) {
      is = true;
      op = Op::in;
    } else if (!is && is_word("not") && ahead().kind == Lexeme::name && ahead().text_of == "in") {
      is = true;
      op = Op::not_in;
      next();
    }
    if (!is) break;
    next();
    if (chain == nullptr) chain = TRY(add(make(Expr::comparison), std::move(first)));
    chain->ops.push_back(op);
    chain = TRY(add(std::move(chain), TRY(sum())));
  }
  return chain == nullptr ? std::move(first) : std::move(chain);
}

Result<ExprPtr> Parser::sum() {
  return chain_of(Expr::chain, &Parser::concatenation, sum_op);
}
Result<ExprPtr> Parser::product() {
  return chain_of(Expr::chain, &Parser::power, product_op);
}

Result<ExprPtr> Parser::concatenation() {
  ExprPtr first = TRY(product());
  if (!is_op("~")) return first;
  ExprPtr e = TRY(add(make(Expr::concat), std::move(first)));
  while (skip_op("~")) e = TRY(add(std::move(e), TRY(product())));
  return e;
}

Result<ExprPtr> Parser::power() {
  ExprPtr first = TRY(unary(true));
  bool is = false;
  power_op(now(), is);
  if (!is) return first;
  ExprPtr chain = TRY(add(make(Expr::chain), std::move(first)));
  while (skip_op("**")) {
    chain->ops.push_back(Op::power);
    chain = TRY(add(std::move(chain), TRY(unary(true))));
  }
  return chain;
}

Result<ExprPtr> Parser::unary(bool with_filters) {
  if (++depth_ > kParseDepth) return fail("nested too deeply");
  ExprPtr e;
  if (is_op("-") || is_op("+")) {
    e = make(is_op("-") ? Expr::negate : Expr::plus);
    next();
    e = TRY(add(std::move(e), TRY(unary(false))));
  } else {
    e = TRY(primary());
  }
  e = TRY(postfix(std::move(e)));
  if (with_filters) e = TRY(filters(std::move(e)));
  --depth_;
  return e;
}

Result<ExprPtr> Parser::primary() {
  const Lexeme& l = now();
  if (l.kind == Lexeme::string) return string();
  if (l.kind == Lexeme::integer || l.kind == Lexeme::real) return number();
  if (is_op("(")) return parenthesis();
  if (is_op("[")) return list();
  if (is_op("{")) return dict();
  if (l.kind != Lexeme::name) return unexpected();
  ExprPtr e = make(Expr::constant);
  if (l.text_of == "true" || l.text_of == "True") {
    e->value = true;
  } else if (l.text_of == "false" || l.text_of == "False") {
    e->value = false;
  } else if (l.text_of == "none" || l.text_of == "None") {
    e->value = None{};
  } else {
    e->kind = Expr::variable;
    varargs_ = varargs_ || l.text_of == "varargs";
    kwargs_ = kwargs_ || l.text_of == "kwargs";
    e->name = literal(std::string(l.text_of));
  }
  next();
  return e;
}

Result<ExprPtr> Parser::string() {
  ExprPtr e = make(Expr::constant);
  std::string text;
  for (; now().kind == Lexeme::string; next()) text += unescape(now().text_of);
  e->value = literal(std::move(text));
  return e;
}

Result<ExprPtr> Parser::number() {
  ExprPtr e = make(Expr::constant);
  std::string digits;
  for (const char c : now().text_of) {
    if (c != '_') digits.push_back(c);
  }
  const char* end = digits.data() + digits.size();
  if (now().kind == Lexeme::real) {
    double real = 0;
    const auto read = std::from_chars(digits.data(), end, real);
    if (read.ec != std::errc() || read.ptr != end) return fail("the number " + digits + " is out of range");
    e->value = real;
  } else {
    const char mark = digits.size() > 2 ? char(digits[1] | 32) : ' ';
    const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    int64_t whole = 0;
    const auto read = std::from_chars(digits.data() + (base == 10 ? 0 : 2), end, whole, base);
    if (read.ec != std::errc() || read.ptr != end) return fail("the number " + digits + " is out of range");
    e->value = whole;
  }
  next();
  return e;
}

Result<ExprPtr> Parser::parenthesis() {
  next();
  if (skip_op(")")) return make(Expr::tuple);
  ExprPtr e = TRY(tuple_or_one(true));
  TRY(expect_op(")"));
  return e;
}

Result<ExprPtr> Parser::list() {
  ExprPtr e = make(Expr::list);
  next();
  while (!is_op("]")) {
    e = TRY(add(std::move(e), TRY(expression())));
    if (!skip_op(",")) break;
  }
  TRY(expect_op("]"));
  return e;
}

Result<ExprPtr> Parser::dict() {
  ExprPtr e = make(Expr::dict);
  next();
  while (!is_op("}")) {
    e = TRY(add(std::move(e), TRY(expression())));
    TRY(expect_op(":"));
    e = TRY(add(std::move(e), TRY(expression())));
    if (!skip_op(",")) break;
  }
  TRY(expect_op("}"));
  return e;
}

Result<ExprPtr> Parser::postfix(ExprPtr e) {
  for (;;) {
    if (is_op("(")) {
      ExprPtr call = TRY(add(make(Expr::call), std::move(e)));
      TRY(arguments(*call));
      e = std::move(call);
    } else if (skip_op(".")) {
      const bool index = now().kind == Lexeme::integer;
      ExprPtr access = TRY(add(make(index ? Expr::item : Expr::attribute), std::move(e)));
      if (index) {
        access = TRY(add(std::move(access), TRY(number())));
      } else {
        access->name = TRY(expect_name());
      }
      e = std::move(access);
    } else if (is_op("[")) {
      e = TRY(subscript(std::move(e)));
    } else {
      return e;
    }
  }
}

Result<ExprPtr> Parser::subscript(ExprPtr e) {
  ExprPtr access = TRY(add(make(Expr::item), std::move(e)));
  next();
  for (int part = 0; part < 3; ++part) {
    const bool absent = is_op(":") || is_op("]");
    if (absent && part == 0 && !is_op(":")) return unexpected();
    access = TRY(add(std::move(access), absent ? nullptr : TRY(expression())));
    if (!is_op(":")) break;
    access->kind = Expr::slice;
    next();
    if (part == 2) return unexpected();
  }
  if (access->kind == Expr::slice) access->kids.resize(4);
  TRY(expect_op("]"));
  return access;
}

Status Parser::arguments(Expr& call) {
  TRY(expect_op("("));
  bool named = false;
  while (!is_op(")")) {
    Str name;
    if (is_op("*") || is_op("**")) {
      name = literal(std::string(now().text_of));
      next();
    } else if (now().kind == Lexeme::name && ahead().kind == Lexeme::op && ahead().text_of == "=") {
      name = TRY(expect_name());
      next();
    }
    if (named && name == nullptr) return fail("a positional argument after a named one");
    named = named || name != nullptr;
    ExprPtr value = TRY(expression());
    if (value->height >= kHeight) return fail("nested too deeply");
    call.height = std::max(call.height, value->height + 1);
    call.kids.push_back(std::move(value));
    call.names.push_back(std::move(name));
    if (!skip_op(",")) break;
  }
  return expect_op(")");
}

Result<ExprPtr> Parser::filters(ExprPtr e) {
  for (;;) {
    if (skip_op("|")) {
      e = TRY(one_filter(std::move(e)));
    } else if (is_word("is")) {
      e = TRY(test(std::move(e)));
    } else if (is_op("(") || is_op(".") || is_op("[")) {
      e = TRY(postfix(std::move(e)));
    } else {
      return e;
    }
  }
}

Result<ExprPtr> Parser::one_filter(ExprPtr input) {
  ExprPtr e = TRY(add(make(Expr::filter), std::move(input)));
  e->name = TRY(expect_name());
  e->builtin = find_filter(e->name->view());
  if (is_op("(")) TRY(arguments(*e));
  return e;
}

Result<ExprPtr> Parser::test(ExprPtr e) {
  next();
  const bool negated = skip_word("not");
  ExprPtr test = TRY(add(make(Expr::test), std::move(e)));
  test->name = TRY(expect_name());
  test->builtin = find_builtin(tests(), test->name->view());
  const bool word = now().kind == Lexeme::name && !is_word("else") && !is_word("or") && !is_word("and") &&
                    !is_word("if") && !is_word("in") && !is_word("not") && !is_word("is");
  if (is_op("(")) {
    TRY(arguments(*test));
  } else if (word || now().kind == Lexeme::string || now().kind == Lexeme::integer ||
             now().kind == Lexeme::real || is_op("[") || is_op("{")) {
    test = TRY(add(std::move(test), TRY(postfix(TRY(primary())))));
    test->names.push_back(nullptr);
  }
  return negated ? add(make(Expr::invert), std::move(test)) : std::move(test);
}

}  // namespace varve::jinja

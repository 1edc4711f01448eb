// '{} {name!r:>8}'.format(...): fields by position or name, and the common part of Python's format language.
#include <algorithm>
#include <charconv>
#include <cstdio>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/print.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

constexpr int64_t kWidest = 10000;

struct Spec {  // [[fill]align][sign][0][width][,][.precision][kind]
  std::string fill = " ";
  char align = 0, sign = '-', kind = 0;
  bool commas = false;
  int64_t width = 0;
  int precision = -1;
};

bool is_align(char c) {
  return c == '<' || c == '>' || c == '^' || c == '=';
}

int64_t take_number(std::string_view& text) {
  int64_t value = 0;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1)) {
    value = std::min(value * 10 + (text[0] - '0'), kWidest);
  }
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

Result<Spec> read_spec(Run& run, std::string_view text) {
  Spec spec;
  const size_t fill = text.empty() ? 0 : char_at(text, 0).bytes;
  if (fill < text.size() && is_align(text[fill])) {
    spec.fill = text.substr(0, fill);
    spec.align = text[fill];
    text.remove_prefix(fill + 1);
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  for (const char c : {'+', '-', ' '}) {
    if (take(text, c)) spec.sign = c;
  }
  if (take(text, '0') && spec.align == 0) {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = take_number(text);
  spec.commas = take(text, ',');
  if (take(text, '.')) spec.precision = int(std::min<int64_t>(take_number(text), 100));
  if (text.size() == 1) {
    spec.kind = text[0];
  } else if (!text.empty()) {
    return run.fail("format: the specification is not understood");
  }
  return spec;
}

// Digits without a sign.
Result<std::string> digits_of(Run& run, const Value& value, const Spec& spec) {
  char text[512];
  const bool whole = value.integral() && (spec.kind == 0 || spec.kind == 'd' || spec.kind == 'n');
  const bool bits =
      value.integral() && (spec.kind == 'x' || spec.kind == 'X' || spec.kind == 'o' || spec.kind == 'b');
  if (whole || bits) {
    const int64_t i = value.integer();
    const uint64_t size = i < 0 ? 0 - uint64_t(i) : uint64_t(i);
    const int base = whole ? 10 : spec.kind == 'o' ? 8 : spec.kind == 'b' ? 2 : 16;
    const std::string digits(text, std::to_chars(text, text + sizeof(text), size, base).ptr);
    return spec.kind == 'X' ? upper(digits) : digits;
  }
  const double size = value.real() < 0 ? -value.real() : value.real();
  if (spec.kind == 0 && spec.precision < 0) return float_text(size);
  const char kind = spec.kind == '%' ? 'f' : spec.kind == 0 ? 'g' : spec.kind;
  if (std::string_view("eEfFgG").find(kind) == std::string_view::npos) {
    return run.fail(std::string("Unknown format code '") + spec.kind + "' for object of type '" +
                    type_name(value) + "'");
  }
  const std::string format = std::string("%.*") + kind;
  std::snprintf(text, sizeof(text), format.c_str(), spec.precision < 0 ? 6 : spec.precision,
                spec.kind == '%' ? size * 100 : size);
  return std::string(text) + (spec.kind == '%' ? "%" : "");
}

void put_commas(std::string& digits) {
  size_t end = 0;
  while (end < digits.size() && digits[end] >= '0' && digits[end] <= '9') ++end;
  for (size_t at = end; at > 3;) digits.insert(at -= 3, ",");
}

Status append_formatted(Run& run, std::string& out, const Value& value, std::string_view how) {
  const Spec spec = TRY(read_spec(run, how));
  std::string sign, text;
  const bool number = value.number() && !(value.is<bool>() && how.empty());
  if (!how.empty() && !number && !value.text()) {
    return run.fail(std::string("unsupported format string passed to ") + type_name(value) + ".__format__");
  }
  if (number) {
    const bool negative = value.real() < 0;
    sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
    text = TRY(digits_of(run, value, spec));
    if (spec.commas) put_commas(text);
  } else {
    if ((spec.kind != 0 && spec.kind != 's') || spec.commas) return run.fail("format: this needs a number");
    TRY(append_text(run, text, value));
    if (spec.precision >= 0) text.resize(byte_offset(text, size_t(spec.precision)));
  }
  const int64_t missing = std::max<int64_t>(spec.width - int64_t(count_chars(text) + sign.size()), 0);
  const char align = spec.align != 0 ? spec.align : number ? '>' : '<';
  const int64_t before = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  TRY(run.room_for(int64_t(out.size() + text.size()) + missing * 4));
  if (align == '=') out += sign;
  for (int64_t i = 0; i < before; ++i) out += spec.fill;
  if (align != '=') out += sign;
  out += text;
  for (int64_t i = before; i < missing; ++i) out += spec.fill;
  return {};
}

class Braces {
 public:
  Braces(Run& run, std::string_view format, Bound& args) : run_(run), left_(format), args_(args) {}

  Result<Value> run() {
    std::string out;
    while (!left_.empty()) {
      const char c = left_[0];
      left_.remove_prefix(1);
      if (c != '{' && c != '}') {
        out.push_back(c);
      } else if (take(left_, c)) {
        out.push_back(c);
      } else if (c == '}') {
        return run_.fail("Single '}' encountered in format string");
      } else {
        TRY(field(out));
      }
    }
    return run_.text(std::move(out));
  }

 private:
  Status field(std::string& out) {
    TRY(run_.spend(kTicksPerStep));
    const size_t close = left_.find('}');
    if (close == left_.npos) return run_.fail("Single '{' encountered in format string");
    std::string_view field = left_.substr(0, close);
    left_.remove_prefix(close + 1);
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view spec = field.substr(std::min(colon + 1, field.size()));
    if (spec.find('{') != spec.npos) return run_.fail("format: fields inside fields are not supported");
    field = field.substr(0, colon);
    const size_t mark = std::min(field.find('!'), field.size());
    Value value = TRY(lookup(field.substr(0, mark)));
    if (field.substr(mark) == "!r") {
      std::string text;
      TRY(append_repr(run_, text, value));
      value = TRY(run_.text(std::move(text)));
    }
    return append_formatted(run_, out, value, spec);
  }

  // name or number, then .attributes and [keys]
  Result<Value> lookup(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = TRY(root(path.substr(0, end)));
    std::string dotted(path.substr(end));  // ".a[b]" to "a.b"
    if (dotted.empty()) return value;
    std::replace(dotted.begin(), dotted.end(), '[', '.');
    dotted.erase(std::remove(dotted.begin(), dotted.end(), ']'), dotted.end());
    return get_path(run_, value, TRY(run_.text(dotted.substr(1))));
  }

  Result<Value> root(std::string_view name) {
    std::string_view digits = name;
    const bool by_position = name.empty() || (name[0] >= '0' && name[0] <= '9');
    if (by_position) {
      const size_t at = name.empty() ? next_++ : size_t(take_number(digits));
      if (at >= args_.rest.size()) return run_.fail("format: too few values");
      return args_.rest[at];
    }
    for (const auto& [key, value] : args_.named) {
      if (key->view() == name) return value;
    }
    return run_.fail("format: no value named '" + std::string(name.substr(0, 40)) + "'");
  }

  Run& run_;
  std::string_view left_;
  Bound& args_;
  size_t next_ = 0;
};

}  // namespace

Result<Value> brace_format(Run& run, const Value& format, Bound& args) {
  TRY(run.touch(format.view().size()));
  return Braces(run, format.view(), args).run();
}

}  // namespace varve::jinja

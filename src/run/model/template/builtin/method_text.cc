// The methods of str.
#include <algorithm>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/print.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

template <std::string (*kMap)(std::string_view)>
Result<Value> mapped(Run& run, const Value& self, Bound&) {
  return run.text(kMap(self.view()));
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const std::string_view c = text.substr(at, char_at(text, at).bytes);
    out += all_of(c, CharClass::upper) ? lower(c) : upper(c);
    at += c.size();
  }
  return out;
}

template <CharClass kClass>
Result<Value> is_all(Run& run, const Value& self, Bound&) {
  TRY(run.touch(self.view().size()));
  return Value(all_of(self.view(), kClass));
}

enum Side { kLeft = 1, kRight = 2, kBoth = 3 };

bool has_char(std::string_view chars, std::string_view c) {
  for (size_t at = 0; at < chars.size(); at += char_at(chars, at).bytes) {
    if (chars.substr(at, char_at(chars, at).bytes) == c) return true;
  }
  return false;
}

std::string_view strip_chars(std::string_view text, std::string_view chars, int sides) {
  while ((sides & kLeft) != 0 && !text.empty()) {
    const size_t bytes = char_at(text, 0).bytes;
    if (!has_char(chars, text.substr(0, bytes))) break;
    text.remove_prefix(bytes);
  }
  while ((sides & kRight) != 0 && !text.empty()) {
    const size_t bytes = last_char(text).bytes;
    if (!has_char(chars, text.substr(text.size() - bytes))) break;
    text.remove_suffix(bytes);
  }
  return text;
}

template <int kSides>
Result<Value> stripped(Run& run, const Value& self, Bound& args) {
  std::string_view text = self.view();
  if (args.has(0) && !args[0].none()) {
    const std::string_view chars = TRY(want_text(run, args[0], "strip arg"));
    TRY(run.spend(int64_t(text.size()) * int64_t(chars.size() / 64)));
    return run.text(strip_chars(text, chars, kSides));
  }
  if ((kSides & kLeft) != 0) text = strip_left(text);
  if ((kSides & kRight) != 0) text = strip_right(text);
  return run.text(text);
}

// Where parts lie that are between white space.
void split_spaces(std::string_view text, int64_t most, std::vector<std::string_view>& out) {
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (most >= 0 && int64_t(out.size()) == most) {
      out.push_back(text);
      return;
    }
    size_t end = 0;
    for (Char c = char_at(text, 0); end < text.size() && !is_space(c.code); c = char_at(text, end))
      end += c.bytes;
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

void split_spaces_right(std::string_view text, int64_t most, std::vector<std::string_view>& out) {
  for (text = strip_right(text); !text.empty(); text = strip_right(text)) {
    if (most >= 0 && int64_t(out.size()) == most) {
      out.push_back(text);
      break;
    }
    size_t begin = text.size();  // of the last word
    while (begin > 0) {
      const Char c = last_char(text.substr(0, begin));
      if (is_space(c.code)) break;
      begin -= c.bytes;
    }
    out.push_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(out.begin(), out.end());
}

void split_by(std::string_view text, std::string_view by, int64_t most, std::vector<std::string_view>& out) {
  while (most < 0 || int64_t(out.size()) < most) {
    const size_t at = text.find(by);
    if (at == text.npos) break;
    out.push_back(text.substr(0, at));
    text.remove_prefix(at + by.size());
  }
  out.push_back(text);
}

void split_by_right(std::string_view text, std::string_view by, int64_t most,
                    std::vector<std::string_view>& out) {
  while (most < 0 || int64_t(out.size()) < most) {
    const size_t at = text.rfind(by);
    if (at == text.npos) break;
    out.push_back(text.substr(at + by.size()));
    text = text.substr(0, at);
  }
  out.push_back(text);
  std::reverse(out.begin(), out.end());
}

Result<Value> texts(Run& run, const std::vector<std::string_view>& parts, List::Kind kind = List::list) {
  std::vector<Value> out;
  out.reserve(parts.size());
  for (const std::string_view part : parts) out.push_back(TRY(run.text(part)));
  return Value(TRY(run.list(std::move(out), kind)));
}

template <bool kFromRight>
Result<Value> split(Run& run, const Value& self, Bound& args) {
  const int64_t most = args.has(1) ? TRY(want_integer(run, args[1], "maxsplit")) : -1;
  TRY(run.touch(self.view().size()));
  TRY(run.room_for(int64_t(self.view().size() * sizeof(std::string_view))));
  std::vector<std::string_view> parts;
  if (!args.has(0) || args[0].none()) {
    (kFromRight ? split_spaces_right : split_spaces)(self.view(), most, parts);
  } else {
    const std::string_view by = TRY(want_text(run, args[0], "the separator"));
    if (by.empty()) return run.fail("empty separator");
    (kFromRight ? split_by_right : split_by)(self.view(), by, most, parts);
  }
  return texts(run, parts);
}

Result<Value> split_lines(Run& run, const Value& self, Bound& args) {
  const std::string_view text = self.view();
  const bool keep = truthy(args[0]);
  TRY(run.room_for(int64_t(text.size() * sizeof(std::string_view))));
  std::vector<std::string_view> parts;
  for (size_t at = 0, begin = 0; at < text.size();) {
    const Char c = char_at(text, at);
    const bool ends = (c.code >= 10 && c.code <= 13) || (c.code >= 0x1C && c.code <= 0x1E) ||
                      c.code == 0x85 || c.code == 0x2028 || c.code == 0x2029;
    const size_t next = at + c.bytes + (c.code == '\r' && at + 1 < text.size() && text[at + 1] == '\n');
    if (ends || next >= text.size()) {
      parts.push_back(text.substr(begin, (ends && !keep ? at : next) - begin));
      begin = next;
    }
    at = next;
  }
  return texts(run, parts);
}

// The part between the optional bounds start and end, and where it begins.
Result<std::string_view> within(Run& run, std::string_view text, const Value& start, const Value& end,
                                size_t& from) {
  TRY(run.touch(text.size()));
  from = 0;
  size_t to = text.size();
  const auto place = [&](const Value& bound, size_t& byte) -> Status {
    if (bound.undefined() || bound.none()) return {};
    int64_t at = TRY(want_integer(run, bound, "a bound"));
    if (at < 0) at = std::max<int64_t>(at, INT32_MIN) + int64_t(count_chars(text));
    byte = byte_offset(text, size_t(std::max<int64_t>(at, 0)));
    return {};
  };
  TRY(place(start, from));
  TRY(place(end, to));
  return text.substr(from, to > from ? to - from : 0);
}

template <bool kEnd>
Result<Value> begins(Run& run, const Value& self, Bound& args) {
  size_t from = 0;
  const std::string_view text = TRY(within(run, self.view(), args[1], args[2], from));
  const std::vector<Value> one{args[0]};
  const List* tuple = args[0].list();
  if (tuple != nullptr && tuple->kind != List::tuple)
    return run.fail("startswith first arg must be str or a tuple of str");
  for (const Value& with : tuple != nullptr ? tuple->items_of : one) {
    const std::string_view part = TRY(want_text(run, with, "startswith first arg"));
    if (part.size() > text.size()) continue;
    TRY(run.touch(part.size()));
    if (text.substr(kEnd ? text.size() - part.size() : 0, part.size()) == part) return Value(true);
  }
  return Value(false);
}

template <bool kLast, bool kMust>
Result<Value> find(Run& run, const Value& self, Bound& args) {
  size_t from = 0;
  const std::string_view text = TRY(within(run, self.view(), args[1], args[2], from));
  const std::string_view what = TRY(want_text(run, args[0], "the text to find"));
  const size_t at = kLast ? text.rfind(what) : text.find(what);
  if (at != text.npos) return Value(int64_t(count_chars(self.view().substr(0, from + at))));
  if (kMust) return run.fail("substring not found");
  return Value(int64_t(-1));
}

Result<Value> count(Run& run, const Value& self, Bound& args) {
  size_t from = 0;
  const std::string_view text = TRY(within(run, self.view(), args[1], args[2], from));
  const std::string_view what = TRY(want_text(run, args[0], "the text to count"));
  if (what.empty()) return Value(int64_t(count_chars(text)) + 1);
  int64_t found = 0;
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) ++found;
  return Value(found);
}

Result<Value> replace(Run& run, const Value& self, Bound& args) {
  const std::string_view text = self.view();
  const std::string_view old = TRY(want_text(run, args[0], "replace() argument 1"));
  const std::string_view fresh = TRY(want_text(run, args[1], "replace() argument 2"));
  int64_t left = args.has(2) ? TRY(want_integer(run, args[2], "count")) : -1;
  TRY(run.touch(text.size()));
  std::string out;
  size_t at = 0;
  for (; left != 0; --left) {
    size_t found = text.find(old, at);
    if (found == text.npos) break;
    out.append(text.substr(at, found - at)).append(fresh);
    TRY(run.touch(fresh.size()));
    TRY(run.room_for(int64_t(out.size())));
    at = found + old.size();
    if (!old.empty()) continue;  // else between all characters
    if (at == text.size()) return run.text(std::move(out));
    const size_t bytes = char_at(text, at).bytes;
    out.append(text.substr(at, bytes));
    at += bytes;
  }
  return run.text(std::move(out.append(text.substr(at))));
}

Result<Value> join(Run& run, const Value& self, Bound& args) {
  const List* items = TRY(run.iterate(args[0]));
  std::string out;
  for (size_t i = 0; i < items->size(); ++i) {
    if (i > 0) out.append(self.view());
    out.append(TRY(want_text(run, items->items_of[i], "sequence item")));
    TRY(run.spend(1));
    TRY(run.touch(self.view().size() + items->items_of[i].view().size()));
    TRY(run.room_for(int64_t(out.size())));
  }
  return run.text(std::move(out));
}

enum class Align { left, center, right };
template <Align kAlign>
Result<Value> justify(Run& run, const Value& self, Bound& args) {
  const int64_t width = TRY(want_integer(run, args[0], "the width"));
  const std::string_view fill = args.has(1) ? TRY(want_text(run, args[1], "the fill character")) : " ";
  if (count_chars(fill) != 1) return run.fail("the fill character must be exactly one character long");
  const int64_t missing = width - int64_t(count_chars(self.view()));
  if (missing <= 0) return self;
  if (missing > kBytes) return run.room_for(missing);
  TRY(run.room_for(missing * int64_t(fill.size())));
  const int64_t middle = missing / 2 + (missing & width & 1);
  const int64_t before = kAlign == Align::left ? 0 : kAlign == Align::right ? missing : middle;
  std::string out;
  for (int64_t i = 0; i < before; ++i) out.append(fill);
  out.append(self.view());
  for (int64_t i = before; i < missing; ++i) out.append(fill);
  return run.text(std::move(out));
}

Result<Value> zfill(Run& run, const Value& self, Bound& args) {
  const int64_t width = TRY(want_integer(run, args[0], "the width"));
  const int64_t missing = std::max<int64_t>(width - int64_t(count_chars(self.view())), 0);
  TRY(run.room_for(missing));
  const size_t sign = !self.view().empty() && (self.view()[0] == '-' || self.view()[0] == '+');
  std::string out(self.view().substr(0, sign));
  out.append(size_t(missing), '0').append(self.view().substr(sign));
  return run.text(std::move(out));
}

template <bool kEnd>
Result<Value> remove_affix(Run& run, const Value& self, Bound& args) {
  const std::string_view text = self.view(), part = TRY(want_text(run, args[0], "the affix"));
  if (part.size() > text.size()) return self;
  if (kEnd)
    return text.substr(text.size() - part.size()) == part
               ? run.text(text.substr(0, text.size() - part.size()))
               : self;
  return text.substr(0, part.size()) == part ? run.text(text.substr(part.size())) : self;
}

template <bool kLast>
Result<Value> partition(Run& run, const Value& self, Bound& args) {
  const std::string_view text = self.view(), by = TRY(want_text(run, args[0], "the separator"));
  if (by.empty()) return run.fail("empty separator");
  const size_t at = kLast ? text.rfind(by) : text.find(by);
  if (at == text.npos && kLast) return texts(run, {"", "", text}, List::tuple);
  if (at == text.npos) return texts(run, {text, "", ""}, List::tuple);
  return texts(run, {text.substr(0, at), by, text.substr(at + by.size())}, List::tuple);
}

constexpr Builtin kMethods[] = {
    {"upper", "", mapped<upper>},
    {"lower", "", mapped<lower>},
    {"casefold", "", mapped<lower>},
    {"title", "", mapped<title>},
    {"capitalize", "", mapped<capitalize>},
    {"swapcase", "", mapped<swap_case>},
    {"strip", "chars?", stripped<kBoth>},
    {"lstrip", "chars?", stripped<kLeft>},
    {"rstrip", "chars?", stripped<kRight>},
    {"split", "sep? maxsplit?", split<false>},
    {"rsplit", "sep? maxsplit?", split<true>},
    {"splitlines", "keepends?", split_lines},
    {"startswith", "prefix start? end?", begins<false>},
    {"endswith", "suffix start? end?", begins<true>},
    {"find", "sub start? end?", find<false, false>},
    {"rfind", "sub start? end?", find<true, false>},
    {"index", "sub start? end?", find<false, true>},
    {"rindex", "sub start? end?", find<true, true>},
    {"count", "sub start? end?", count},
    {"replace", "old new count?", replace},
    {"join", "iterable", join},
    {"center", "width fillchar?", justify<Align::center>},
    {"ljust", "width fillchar?", justify<Align::left>},
    {"rjust", "width fillchar?", justify<Align::right>},
    {"zfill", "width", zfill},
    {"removeprefix", "prefix", remove_affix<false>},
    {"removesuffix", "suffix", remove_affix<true>},
    {"partition", "sep", partition<false>},
    {"rpartition", "sep", partition<true>},
    {"format", "* **", brace_format},
    {"isalpha", "", is_all<CharClass::alpha>},
    {"isdigit", "", is_all<CharClass::digit>},
    {"isdecimal", "", is_all<CharClass::decimal>},
    {"isnumeric", "", is_all<CharClass::numeric>},
    {"isalnum", "", is_all<CharClass::alnum>},
    {"isspace", "", is_all<CharClass::space>},
    {"isupper", "", is_all<CharClass::upper>},
    {"islower", "", is_all<CharClass::lower>},
};

}  // namespace

Table text_methods() {
  return kMethods;
}

}  // namespace varve::jinja

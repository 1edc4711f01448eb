// Filters that make text of their input.
#include <algorithm>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/print.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

template <std::string (*kMap)(std::string_view)>
Result<Value> mapped(Run& run, const Value& self, Bound&) {
  std::string held;
  return run.text(kMap(TRY(soft_text(run, self, held))));
}

// Jinja's own title: a word begins after a space, a dash or an opening bracket.
std::string title_words(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto separator = [&](size_t i) {
      return std::string_view("-({[<").find(text[i]) != text.npos || is_space(uint8_t(text[i]));
    };
    size_t end = at;
    while (end < text.size() && separator(end)) ++end;
    out.append(text.substr(at, end - at));
    at = end;
    while (end < text.size() && !separator(end)) ++end;
    if (end == at) break;
    const size_t first = char_at(text, at).bytes;
    out += upper(text.substr(at, first));
    out += lower(text.substr(at + first, end - at - first));
    at = end;
  }
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

Result<Value> by_method(Run& run, const Value& self, const char* method, std::vector<Value> args) {
  std::string held;
  const Value text = self.text() ? self : TRY(run.text(TRY(soft_text(run, self, held))));
  return invoke(run, *find_builtin(text_methods(), method), text, std::move(args));
}

Result<Value> replace(Run& run, const Value& self, Bound& args) {
  std::string from, to;
  const Value old = TRY(run.text(TRY(soft_text(run, args[0], from))));
  const Value fresh = TRY(run.text(TRY(soft_text(run, args[1], to))));
  return by_method(run, self, "replace", {old, fresh, args[2].none() ? Value() : args[2]});
}

// A number of blanks, or the text itself.
Result<std::string> margin(Run& run, const Value& width, int64_t otherwise) {
  if (width.text()) return std::string(width.view());
  const int64_t blanks = width.undefined() ? otherwise : TRY(want_integer(run, width, "the width"));
  TRY(run.room_for(std::max<int64_t>(blanks, 0)));
  return std::string(size_t(std::max<int64_t>(blanks, 0)), ' ');
}

Result<Value> indent(Run& run, const Value& self, Bound& args) {
  const std::string with = TRY(margin(run, args[0], 4));
  const bool first = truthy(args[1]), blank = truthy(args[2]);
  std::string held, out;
  const std::string_view text = TRY(soft_text(run, self, held));
  const std::string_view lines = text.substr(0, text.size());
  for (size_t at = 0; at <= lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    if (at > 0) out.push_back('\n');
    if (at == 0 ? first : blank || end > at) out += with;
    out.append(lines.substr(at, end - at));
    TRY(run.room_for(int64_t(out.size())));
    at = end + 1;
  }
  return run.text(std::move(out));
}

Result<Value> truncate(Run& run, const Value& self, Bound& args) {
  const int64_t length = args.has(0) ? TRY(want_integer(run, args[0], "the length")) : 255;
  const std::string_view end = args.has(2) ? TRY(want_text(run, args[2], "the end")) : "...";
  const int64_t leeway = args.has(3) ? TRY(want_integer(run, args[3], "the leeway")) : 5;
  const int64_t left = length - int64_t(count_chars(end));
  if (left < 0 || leeway < 0 || length > kBytes || leeway > kBytes)
    return run.fail("truncate: length or leeway out of range");
  std::string held;
  const std::string_view text = TRY(soft_text(run, self, held));
  if (int64_t(count_chars(text)) <= length + leeway) return run.text(text);
  std::string_view kept = text.substr(0, byte_offset(text, size_t(left)));
  if (!truthy(args[1])) kept = kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  return run.text(std::string(kept) + std::string(end));
}

Result<Value> word_count(Run& run, const Value& self, Bound&) {
  std::string held;
  const std::string_view text = TRY(soft_text(run, self, held));
  TRY(run.touch(text.size()));
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = char_at(text, at).bytes;
    const bool word = text[at] == '_' || all_of(text.substr(at, bytes), CharClass::alnum);
    words += word && !inside;
    inside = word;
    at += bytes;
  }
  return Value(words);
}

Result<Value> to_json(Run& run, const Value& self, Bound& args) {
  JsonStyle style;
  style.ascii = truthy(args[0]);
  if (args.has(1) && !args[1].none()) {
    style.lines = true;
    style.item = ",";
    style.indent = TRY(margin(run, args[1], 0));
    if (style.indent.size() > 1000) return run.fail("tojson: the indent is too wide");
  }
  if (args.has(2) && !args[2].none()) {
    const List* both = args[2].list();
    if (both == nullptr || both->size() != 2) return run.fail("tojson: separators are a pair of strings");
    style.item = TRY(want_text(run, both->items_of[0], "a separator"));
    style.key = TRY(want_text(run, both->items_of[1], "a separator"));
  }
  style.sort_keys = truthy(args[3]);
  std::string out;
  TRY(append_json(run, out, self, style));
  return run.text(std::move(out));
}

Result<Value> format(Run& run, const Value& self, Bound& args) {
  std::string held;
  const std::string_view text = TRY(soft_text(run, self, held));
  if (args.named.empty())
    return percent_format(run, text, Value(TRY(run.list(std::move(args.rest), List::tuple))));
  Dict* named = TRY(run.dict());
  for (auto& [name, value] : args.named) TRY(dict_set(run, *named, Value(name), value));
  return percent_format(run, text, Value(named));
}

std::string url_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                       std::string_view("_.-~/").find(c) != std::string_view::npos;
    if (plain) {
      out.push_back(c);
    } else {
      out.append({'%', kHex[uint8_t(c) >> 4], kHex[uint8_t(c) & 15]});
    }
  }
  return out;
}

std::string same(std::string_view text) {
  return std::string(text);
}

constexpr Builtin kFilters[] = {
    {"upper", "", mapped<upper>},
    {"lower", "", mapped<lower>},
    {"capitalize", "", mapped<capitalize>},
    {"title", "", mapped<title_words>},
    {"string", "", mapped<same>},
    {"safe", "", mapped<same>},
    {"escape", "", mapped<escape_html>},
    {"e", "", mapped<escape_html>},
    {"forceescape", "", mapped<escape_html>},
    {"urlencode", "", mapped<url_encode>},
    {"trim", "chars?",
     [](Run& run, const Value& self, Bound& args) { return by_method(run, self, "strip", {args[0]}); }},
    {"center", "width?",
     [](Run& run, const Value& self, Bound& args) {
       return by_method(run, self, "center", {args.has(0) ? args[0] : Value(int64_t(80))});
     }},
    {"replace", "old new count?", replace},
    {"indent", "width? first? blank?", indent},
    {"truncate", "length? killwords? end? leeway?", truncate},
    {"wordcount", "", word_count},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", to_json},
    {"format", "* **", format},
};

}  // namespace

Table text_filters() {
  return kFilters;
}

}  // namespace varve::jinja

#include "run/model/template/print.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

// Called for every part of a container, so that a small value which holds itself many times stays bounded.
Status check(Run& run, const std::string& out, int depth) {
  if (depth > kNesting) return run.fail("values nested too deeply to print");
  TRY(run.spend(1));
  return run.room_for(int64_t(out.size()));
}

void append_hex(std::string& out, const char* format, uint32_t code) {
  char text[12];
  std::snprintf(text, sizeof(text), format, code);
  out += text;
}

void append_json_text(std::string& out, std::string_view text, bool ascii) {
  static constexpr std::string_view kFrom = "\"\\\n\r\t\f\b", kTo = "\"\\nrtfb";
  out.push_back('"');
  for (size_t at = 0; at < text.size();) {
    const Char c = char_at(text, at);
    const size_t known = c.code < 128 ? kFrom.find(char(c.code)) : kFrom.npos;
    if (known != kFrom.npos) {
      out.push_back('\\');
      out.push_back(kTo[known]);
    } else if (c.code < 0x20 || (ascii && c.code >= 0x7F && c.code < 0x10000 && c.code != 0x7F)) {
      append_hex(out, "\\u%04x", c.code);
    } else if (ascii && c.code >= 0x10000) {
      append_hex(out, "\\u%04x", 0xD800 + ((c.code - 0x10000) >> 10));
      append_hex(out, "\\u%04x", 0xDC00 + ((c.code - 0x10000) & 0x3FF));
    } else {
      out.append(text.substr(at, c.bytes));
    }
    at += c.bytes;
  }
  out.push_back('"');
}

void append_number_json(std::string& out, const Value& value) {
  if (value.is<bool>()) {
    out += value.integer() != 0 ? "true" : "false";
  } else if (value.is<int64_t>()) {
    out += std::to_string(value.integer());
  } else if (!std::isfinite(value.real())) {
    out += std::isnan(value.real()) ? "NaN" : value.real() < 0 ? "-Infinity" : "Infinity";
  } else {
    out += float_text(value.real());
  }
}

void new_line(std::string& out, const JsonStyle& style, int depth) {
  if (!style.lines) return;
  out.push_back('\n');
  for (int i = 0; i < depth; ++i) out += style.indent;
}

Status append_key(Run& run, std::string& out, const Value& key, const JsonStyle& style) {
  std::string text;
  if (key.text()) {
    text = key.view();
  } else if (key.none()) {
    text = "null";
  } else if (key.number()) {
    append_number_json(text, key);
  } else {
    return run.fail(std::string("keys must be str, int, float, bool or None, not ") + type_name(key));
  }
  append_json_text(out, text, style.ascii);
  return {};
}

Status append_dict_json(Run& run, std::string& out, const Dict& dict, const JsonStyle& style, int depth) {
  if (dict.entries.empty()) {
    out += "{}";
    return {};
  }
  std::vector<const Dict::Entry*> entries;
  for (const auto& entry : dict.entries) entries.push_back(&entry);
  if (style.sort_keys) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto* a, const auto* b) { return a->key.view() < b->key.view(); });
  }
  out.push_back('{');
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out += style.item;
    new_line(out, style, depth + 1);
    TRY(append_key(run, out, entries[i]->key, style));
    out += style.key;
    TRY(append_json(run, out, entries[i]->value, style, depth + 1));
  }
  new_line(out, style, depth);
  out.push_back('}');
  return {};
}

Status append_list_json(Run& run, std::string& out, const List& list, const JsonStyle& style, int depth) {
  if (list.size() == 0) {
    out += "[]";
    return {};
  }
  out.push_back('[');
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += style.item;
    new_line(out, style, depth + 1);
    TRY(append_json(run, out, list.items_of[i], style, depth + 1));
  }
  new_line(out, style, depth);
  out.push_back(']');
  return {};
}

Status append_list_repr(Run& run, std::string& out, const List& list, int depth) {
  if (list.kind == List::stream) {
    out += "<generator object>";
    return {};
  }
  const bool tuple = list.kind == List::tuple, view = list.kind > List::stream;
  if (view) out += std::string(type_name(const_cast<List*>(&list))) + "(";
  out.push_back(tuple ? '(' : '[');
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += ", ";
    TRY(append_repr(run, out, list.items_of[i], depth + 1));
  }
  if (tuple && list.size() == 1) out.push_back(',');
  out.push_back(tuple ? ')' : ']');
  if (view) out.push_back(')');
  return {};
}

Status append_dict_repr(Run& run, std::string& out, const Dict& dict, int depth) {
  out.push_back('{');
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) out += ", ";
    TRY(append_repr(run, out, dict.entries[i].key, depth + 1));
    out += ": ";
    TRY(append_repr(run, out, dict.entries[i].value, depth + 1));
  }
  out.push_back('}');
  return {};
}

}  // namespace

// Python's repr: the shortest digits that read back, scientific outside 1e-4 .. 1e16.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char text[400];
  const double size = std::fabs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
  std::string out(text, std::to_chars(text, text + sizeof(text), value, format).ptr);
  if (fixed && out.find('.') == out.npos) out += ".0";
  return out;
}

void append_repr(std::string& out, std::string_view text) {
  const bool both = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = both ? '"' : '\'';
  out.push_back(quote);
  for (size_t at = 0; at < text.size();) {
    const Char c = char_at(text, at);
    if (c.code == uint32_t(quote) || c.code == '\\') {
      out.push_back('\\');
      out.push_back(char(c.code));
    } else if (c.code == '\n' || c.code == '\r' || c.code == '\t') {
      out += c.code == '\n' ? "\\n" : c.code == '\r' ? "\\r" : "\\t";
    } else if (is_printable(c.code)) {
      out.append(text.substr(at, c.bytes));
    } else {
      append_hex(out, c.code < 0x100 ? "\\x%02x" : c.code < 0x10000 ? "\\u%04x" : "\\U%08x", c.code);
    }
    at += c.bytes;
  }
  out.push_back(quote);
}

Status append_text(Run& run, std::string& out, const Value& value, int depth) {
  if (value.undefined()) return {};
  if (!value.text()) return append_repr(run, out, value, depth);
  TRY(run.touch(value.view().size()));
  out.append(value.view());
  return {};
}

Status append_repr(Run& run, std::string& out, const Value& value, int depth) {
  TRY(check(run, out, depth));
  if (value.text()) {
    TRY(run.touch(value.view().size()));
    append_repr(out, value.view());
  } else if (value.undefined()) {
    out += "Undefined";
  } else if (value.none()) {
    out += "None";
  } else if (value.is<bool>()) {
    out += value.integer() != 0 ? "True" : "False";
  } else if (value.is<int64_t>()) {
    out += std::to_string(value.integer());
  } else if (value.is<double>()) {
    out += float_text(value.real());
  } else if (value.list() != nullptr) {
    return append_list_repr(run, out, *value.list(), depth);
  } else if (value.dict() != nullptr) {
    return append_dict_repr(run, out, *value.dict(), depth);
  } else {
    out += std::string("<") + type_name(value) + ">";
  }
  return {};
}

Status append_json(Run& run, std::string& out, const Value& value, const JsonStyle& style, int depth) {
  TRY(check(run, out, depth));
  if (value.text()) {
    TRY(run.touch(value.view().size()));
    append_json_text(out, value.view(), style.ascii);
  } else if (value.none()) {
    out += "null";
  } else if (value.number()) {
    append_number_json(out, value);
  } else if (value.dict() != nullptr) {
    return append_dict_json(run, out, *value.dict(), style, depth);
  } else if (value.list() != nullptr && value.list()->kind <= List::tuple) {
    return append_list_json(run, out, *value.list(), style, depth);
  } else {
    return run.fail(std::string("Object of type ") + type_name(value) + " is not JSON serializable");
  }
  return {};
}

}  // namespace varve::jinja

// Json to text. Walks with its own stack, so that no nesting can exhaust the thread's.
#include <charconv>
#include <cmath>

#include "core/format/json.h"

namespace varve {
namespace {

// Length of the well-formed UTF-8 sequence that `text` begins with, or 0 (Unicode 15, table 3-7).
size_t sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4 || !continues(1)) return 0;
  if (first < 0xE0) return 2;
  if (first < 0xF0) {
    const bool overlong = first == 0xE0 && second < 0xA0, surrogate = first == 0xED && second > 0x9F;
    return !overlong && !surrogate && continues(2) ? 3 : 0;
  }
  const bool overlong = first == 0xF0 && second < 0x90, beyond = first == 0xF4 && second > 0x8F;
  return !overlong && !beyond && continues(2) && continues(3) ? 4 : 0;
}

void append_escaped(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  if (static_cast<unsigned char>(c) >= 0x20) {
    out += c;
  } else {
    (out += "\\u00") += {kHex[c >> 4], kHex[c & 15]};
  }
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const size_t length = sequence(text);
    if (length == 1) {
      append_escaped(out, text[0]);
    } else {
      out += length == 0 ? "\xEF\xBF\xBD" : text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

void append_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";  // JSON has no such number
    return;
  }
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), value);  // shortest that reads back
  const std::string_view digits(text, size_t(end - text));
  out += digits;
  if (digits.find_first_of(".e") == digits.npos) out += ".0";  // stays a double when read back
}

void append_scalar(std::string& out, const Json& value) {
  if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    out += std::to_string(value.as_int());
  } else if (value.is_number()) {
    append_number(out, value.as_double());
  } else if (value.is_string()) {
    append_string(out, value.as_string());
  } else {
    out += "null";
  }
}

struct Level {
  const Json* container;
  size_t next = 0;
};

void new_line(std::string& out, int indent, size_t depth) {
  if (indent > 0) out.append("\n").append(size_t(indent) * depth, ' ');
}

}  // namespace

std::string Json::dump(int indent) const {
  std::string out;
  std::vector<Level> open;
  const auto begin = [&](const Json& value) {
    if (value.size() > 0) {
      out += value.is_array() ? '[' : '{';
      open.push_back({&value});
    } else if (value.is_array() || value.is_object()) {
      out += value.is_array() ? "[]" : "{}";
    } else {
      append_scalar(out, value);
    }
  };
  begin(*this);
  while (!open.empty()) {
    auto& [container, next] = open.back();
    if (next == container->size()) {
      new_line(out, indent, open.size() - 1);
      out += container->is_array() ? ']' : '}';
      open.pop_back();
      continue;
    }
    if (next > 0) out += ',';
    new_line(out, indent, open.size());
    const size_t at = next++;
    if (container->is_array()) {
      begin(container->as_array()[at]);
      continue;
    }
    const Member& member = container->as_object()[at];
    append_string(out, member.first);
    out += indent > 0 ? ": " : ":";
    begin(member.second);
  }
  return out;
}

}  // namespace varve

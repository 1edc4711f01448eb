// Values as text: Python's str() and repr(), and JSON as Python's json.dumps writes it.
#pragma once

#include <string>

#include "run/model/template/run.h"
#include "run/model/template/value.h"

namespace varve::jinja {

std::string float_text(double value);
Status append_text(Run& run, std::string& out, const Value& value, int depth = 0);  // str()
Status append_repr(Run& run, std::string& out, const Value& value, int depth = 0);
void append_repr(std::string& out, std::string_view text);

struct JsonStyle {
  std::string item = ", ", key = ": ";  // separators
  std::string indent;                   // of one level
  bool lines = false, sort_keys = false, ascii = false;
};
Status append_json(Run& run, std::string& out, const Value& value, const JsonStyle& style, int depth = 0);

}  // namespace varve::jinja

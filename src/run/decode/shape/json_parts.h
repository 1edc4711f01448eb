// JSON as parts: values of any kind, and the numbers between two bounds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/format/json.h"
#include "run/decode/shape/rules.h"

namespace varve::shape {

constexpr int kAnyDepth =
    16;  // of values about which a schema says nothing; a weak model cannot nest for ever

struct Bounds {  // both included unless said otherwise
  std::optional<double> least, most;
  bool above_least = false, below_most = false;
};

class JsonParts {
 public:
  explicit JsonParts(Rules& rules);

  Part space() const { return space_; }  // nothing, a space, or a new line and an indent of up to 20
  Part literal(const Json& value) { return rules_.text(value.dump()); }
  Part character() const { return character_; }  // one of a string, escaped or not
  Part string(int32_t least = 0, int32_t most = kForever);
  Part integer() const { return integer_; }
  Part number() const { return number_; }
  // Whole or decimal numbers within the bounds, without exponents. Empty when none is.
  std::optional<Part> whole_between(const Bounds& bounds);
  std::optional<Part> between(const Bounds& bounds);

  Part any(int depth = kAnyDepth);
  Part any_object(int depth = kAnyDepth);
  Part any_array(int depth = kAnyDepth);

  Part quoted(Part inside) { return rules_.sequence({rules_.text("\""), inside, rules_.text("\"")}); }
  Part member(Part key, Part value) { return rules_.sequence({key, rules_.text(":"), space_, value}); }
  Part comma(Part next) { return rules_.sequence({rules_.text(","), space_, next}); }
  Part wrapped(const char* open, Part inside, const char* close) {
    return rules_.sequence({rules_.text(open), space_, inside, space_, rules_.text(close)});
  }

 private:
  Rules& rules_;
  Part space_, character_, string_, integer_, number_;
  std::array<Part, kAnyDepth + 1> any_{}, objects_{}, arrays_{};
};

// One character of a string, as JSON writes it: those that must be escaped are.
Part json_chars(Rules& rules, const Ranges& ranges);

// A regular expression (the common part of ECMA-262) as the inside of a JSON string. unsupported names what
// is not understood.
Result<Part> pattern_part(Rules& rules, std::string_view pattern);

Rule any_object(Rules& rules);

}  // namespace varve::shape

// GBNF, the grammar notation of llama.cpp: `root ::= "a" [b-z]+ (item | "\n"){2,5} # comment`.
#pragma once

#include <string_view>

#include "core/base/status.h"
#include "run/decode/shape/rules.h"

namespace varve::shape {

// The rule `root`. invalid names the line and what is wrong there.
Result<Rule> parse_gbnf(std::string_view text, Rules& rules);

}  // namespace varve::shape

// A JSON schema (2020-12, and what draft 7 wrote differently) as rules. What is accepted is valid by the
// schema; some valid texts are not offered: members come in the order of `properties`, objects with
// properties take no others unless additionalProperties says so, and oneOf is read as anyOf.
#pragma once

#include "core/base/status.h"
#include "core/format/json.h"
#include "run/decode/shape/json_parts.h"

namespace varve::shape {

// unsupported: a keyword that constrains and is not understood, with its place. invalid: no schema, or too
// large.
Result<Rule> schema_rules(const Json& schema, Rules& rules);

// Both schemas at once, as allOf means it. unsupported names the keyword that cannot be joined.
Result<Json> merged(const Json& a, const Json& b, const std::string& place);

enum class Keyword { unknown, note, known, unsupported };
Keyword keyword(std::string_view name);  // a note says nothing about what is valid

}  // namespace varve::shape

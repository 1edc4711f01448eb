// An answer that ended before its time: a model that rambles uses up its tokens in the middle of a text. What
// is whole of it is kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/format/json.h"

namespace varve {

// `text` is the beginning of an answer of this shape (ask.h), members in the shape's order. A list ends
// before the item that was cut, a text before the word that was; what was not come to is empty, the least
// number, the first word offered. nullopt: it is no such beginning.
std::optional<std::string> finished(std::string_view text, const Json& shape);

}  // namespace varve

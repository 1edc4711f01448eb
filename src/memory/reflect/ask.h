// Ask: a question to a Writer whose answer has a shape. The schema constrains what a local model can write,
// and the answer is checked against it all the same, so that a wrong Writer changes nothing.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/ports.h"
#include "core/format/json.h"

namespace varve {

namespace answer {  // the shapes: what ask() understands of JSON Schema
Json text(int64_t most_characters);
Json number(int64_t least, int64_t most);
Json choice(std::initializer_list<std::string_view> words);
Json list(Json item, int64_t most);
Json record(std::initializer_list<std::pair<std::string_view, Json>> fields);  // all of them, no others
}  // namespace answer

// `question`, then `material` as JSON (quoted words cannot end it), then the example of an answer. Invalid:
// no JSON of that shape, a control character, or words that carry the marks of recall. Texts
// come trimmed, on one line.
struct Inquiry {
  std::string_view words;
  Json material;
  std::string_view example;
  Json shape;
  int max_tokens = 256;
};
std::string prompt_of(const Inquiry& question);  // what the Writer is shown
Result<Json> ask(Writer& writer, const Inquiry& question);

std::string trimmed(std::string_view text);

}  // namespace varve

#include "memory/reflect/ask.h"

#include <algorithm>

#include "memory/cube/cube.h"
#include "memory/recall/present.h"
#include "memory/reflect/shared/unfinished.h"

namespace varve {
namespace {

constexpr size_t kMaxAnswerBytes = 64 << 10;

Status wrong(std::string_view what) {
  return Status(Code::invalid, "the writer's answer is not used: " + std::string(what));
}

int64_t characters(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += (uint8_t(c) & 0xC0) != 0x80;
  return count;
}

Status fit(Json& value, const Json& shape);

Status fit_record(Json& value, const Json& shape) {
  const Json& fields = shape["properties"];
  if (!value.is_object() || value.size() != fields.size()) return wrong("a record has other fields");
  for (const auto& [name, inner] : fields.as_object()) {
    if (value.find(name) == nullptr) return wrong("a record lacks " + name);
  }
  for (auto& [name, held] : value.as_object()) TRY(fit(held, fields[name]));
  return {};
}

Status fit_text(Json& value, const Json& shape) {
  if (!value.is_string()) return wrong("something is no text");
  std::string text = trimmed(value.as_string());
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  if (characters(text) > shape["maxLength"].as_int()) return wrong("a text is too long");
  if (!check_text("it", text, kMaxAnswerBytes).ok()) return wrong("a text is not plain");
  if (is_recalled_text(text)) return wrong("a text repeats what was recalled");
  value = Json(std::move(text));
  return {};
}

Status fit(Json& value, const Json& shape) {
  if (const Json* words = shape.find("enum")) {
    for (const Json& one : words->as_array()) {
      if (value == one) return {};
    }
    return wrong("a word is none of those offered");
  }
  const std::string& type = shape["type"].as_string();
  if (type == "object") return fit_record(value, shape);
  if (type == "string") return fit_text(value, shape);
  if (type == "integer") {
    const bool good = value.is_int() && value.as_int() >= shape["minimum"].as_int() &&
                      value.as_int() <= shape["maximum"].as_int();
    return good ? Status() : wrong("a number is out of range");
  }
  if (!value.is_array() || int64_t(value.size()) > shape["maxItems"].as_int())
    return wrong("a list is absent or too long");
  for (Json& item : value.as_array()) TRY(fit(item, shape["items"]));
  return {};
}

}  // namespace

namespace answer {
Json text(int64_t most_characters) {
  return Json::object().set("type", "string").set("maxLength", most_characters);
}
Json number(int64_t least, int64_t most) {
  return Json::object().set("type", "integer").set("minimum", least).set("maximum", most);
}
Json choice(std::initializer_list<std::string_view> words) {
  Json all = Json::array();
  for (const std::string_view word : words) all.push(word);
  return Json::object().set("enum", std::move(all));
}
Json list(Json item, int64_t most) {
  return Json::object().set("type", "array").set("maxItems", most).set("items", std::move(item));
}
Json record(std::initializer_list<std::pair<std::string_view, Json>> fields) {
  Json properties = Json::object(), names = Json::array();
  for (const auto& [name, shape] : fields) {
    properties.set(name, shape);
    names.push(name);
  }
  return Json::object()
      .set("type", "object")
      .set("properties", std::move(properties))
      .set("required", std::move(names))
      .set("additionalProperties", false);
}
}  // namespace answer

std::string prompt_of(const Inquiry& question) {
  return std::string(question.words) + "\n" + question.material.dump() +
         "\nAnswer as JSON: " + std::string(question.example) + "\n";
}

Result<Json> ask(Writer& writer, const Inquiry& question) {
  std::string text = TRY(writer.write(prompt_of(question), question.shape.dump(), question.max_tokens));
  if (!trimmed(text).empty()) text = finished(text, question.shape).value_or(std::move(text));
  auto json = parse_json(text, {.max_bytes = kMaxAnswerBytes, .max_depth = 8, .max_items = 1000});
  if (!json.ok()) return wrong(std::move(json).status().message());
  TRY(fit(*json, question.shape));
  return json;
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
  return begin == text.npos ? "" : std::string(text.substr(begin, end - begin + 1));
}

}  // namespace varve

#include "memory/reflect/shared/unfinished.h"

#include <algorithm>

namespace varve {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  // The value of this shape that begins here, whole or finished; nullopt: something else stands here.
  std::optional<Json> value(const Json& shape) {
    space();
    if (rest_.empty()) return least(shape);
    if (const Json* words = shape.find("enum")) return word(*words);
    const std::string& type = shape["type"].as_string();
    if (type == "object") return record(shape);
    if (type == "string") return text();
    if (type == "integer") return number(shape);
    return list(shape);
  }
  bool cut() const { return cut_; }
  bool ended() {
    space();
    return rest_.empty();
  }

 private:
  Json least(const Json& shape) {
    cut_ = true;
    if (const Json* words = shape.find("enum")) return words->as_array()[0];
    const std::string& type = shape["type"].as_string();
    if (type == "string") return "";
    if (type == "integer") return shape["minimum"];
    if (type == "array") return Json::array();
    Json made = Json::object();
    for (const auto& [name, inner] : shape["properties"].as_object()) made.set(name, least(inner));
    return made;
  }

  void space() { rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(" \t\r\n"))); }
  // True when it stands here, or as much of it as there is left.
  bool take(std::string_view wanted) {
    space();
    const size_t size = std::min(wanted.size(), rest_.size());
    if (rest_.substr(0, size) != wanted.substr(0, size)) return false;
    rest_.remove_prefix(size);
    cut_ = cut_ || size < wanted.size();
    return true;
  }

  std::optional<Json> record(const Json& shape) {
    if (!take("{")) return std::nullopt;
    Json made = Json::object();
    for (const auto& [name, inner] : shape["properties"].as_object()) {
      if (made.size() > 0 && !take(",")) return std::nullopt;
      if (!take(Json(name).dump()) || !take(":")) return std::nullopt;
      auto held = value(inner);
      if (!held) return std::nullopt;
      made.set(name, std::move(*held));
    }
    return take("}") ? std::optional(made) : std::nullopt;
  }

  std::optional<Json> list(const Json& shape) {
    if (!take("[")) return std::nullopt;
    Json made = Json::array();
    space();
    if (rest_.starts_with(']')) return take("]") ? std::optional(made) : std::nullopt;
    while (!cut_) {
      auto item = value(shape["items"]);
      if (!item) return std::nullopt;
      if (cut_) break;  // half an item may say the opposite of the whole
      made.push(std::move(*item));
      space();
      if (!rest_.starts_with(',')) return take("]") ? std::optional(made) : std::nullopt;
      take(",");
    }
    return made;
  }

  std::optional<Json> text() {
    if (rest_.front() != '"') return std::nullopt;
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    if (end < rest_.size()) {
      auto whole = parse_json(rest_.substr(0, end + 1));
      rest_.remove_prefix(end + 1);
      return whole.ok() ? std::optional(std::move(whole).value()) : std::nullopt;
    }
    cut_ = true;  // with it what may be half a character, an escape or a word
    const std::string_view said = rest_.substr(0, std::max<size_t>(1, rest_.find_last_of(" \t")));
    rest_ = {};
    auto kept = parse_json(std::string(said == "" ? "\"" : said) + "\"");
    return kept.ok() ? std::optional(std::move(kept).value()) : Json("");
  }

  std::optional<Json> number(const Json& shape) {
    const size_t end = std::min(rest_.size(), rest_.find_first_not_of("-0123456789"));
    auto whole = parse_json(rest_.substr(0, end));
    cut_ = cut_ || end == rest_.size();  // more digits may have followed
    rest_.remove_prefix(end);
    if (cut_) return shape["minimum"];
    return whole.ok() ? std::optional(std::move(whole).value()) : std::nullopt;
  }

  std::optional<Json> word(const Json& words) {
    for (const Json& one : words.as_array()) {
      const std::string spelt = one.dump();
      if (rest_.starts_with(spelt) || spelt.starts_with(rest_))
        return take(spelt) ? std::optional(one) : std::nullopt;
    }
    return std::nullopt;
  }

  std::string_view rest_;
  bool cut_ = false;
};

}  // namespace

std::optional<std::string> finished(std::string_view text, const Json& shape) {
  Reader reader(text);
  auto made = reader.value(shape);
  if (!made || !reader.cut() || !reader.ended()) return std::nullopt;
  return made->dump();
}

}  // namespace varve

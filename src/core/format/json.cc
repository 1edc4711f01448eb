// The parser: nlohmann-json reads the text (iteratively) and calls Builder, which enforces the limits while
// values arrive and grows the tree. Nothing of that library is visible outside this file.
#include "core/format/json.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/base/check.h"

namespace varve {
namespace {

// Walks the text and tells how far the parser has come, so that every error can name a byte.
struct Cursor {
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  reference operator*() const { return *at; }
  Cursor& operator++() {
    ++at;
    ++*bytes_read;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at == other.at; }
  bool operator!=(const Cursor& other) const { return at != other.at; }

  const char* at = nullptr;
  size_t* bytes_read = nullptr;
};

Status error_at(size_t offset, std::string_view what) {
  return Status(Code::invalid, "JSON, byte " + std::to_string(offset) + ": " + std::string(what));
}

// The library's message without its prefix and without the text it quotes, which may be long and is not
// ours to repeat.
std::string_view reason(const nlohmann::json::exception& error) {
  if (error.id == 406) return "number too large";
  std::string_view text = error.what();
  if (const size_t dash = text.find(" - "); dash != text.npos) text.remove_prefix(dash + 3);
  return text.substr(0, text.find("; last read"));
}

class Builder {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  bool null() { return value(Json()); }
  bool boolean(bool held) { return value(Json(held)); }
  bool number_integer(int64_t held) { return value(Json(held)); }
  bool number_unsigned(uint64_t held) {
    return value(held <= uint64_t(INT64_MAX) ? Json(int64_t(held)) : Json(double(held)));
  }
  bool number_float(double held, const std::string&) { return value(Json(held)); }
  bool string(std::string& held) { return value(Json(std::move(held))); }
  bool binary(nlohmann::json::binary_t&) { return fail("unexpected binary"); }
  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_array() { return close(); }
  bool end_object() {
    // Once an object, and sorted: linear in practice, and no choice of keys makes it slow.
    std::vector<std::string_view> keys;
    keys.reserve(open_.back()->size());
    for (const auto& [key, held] : open_.back()->as_object()) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) return fail("duplicate key '" + std::string(twice->substr(0, 80)) + "'");
    return close();
  }
  bool key(std::string& name) {
    if (!count()) return false;
    open_.back()->as_object().emplace_back(std::move(name), Json());
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& error) {
    status_ = error_at(position > 0 ? position - 1 : 0, reason(error));
    return false;
  }

  size_t* bytes_read() { return &bytes_read_; }
  Result<Json> finish() {
    if (!status_.ok()) return std::move(status_);
    return std::move(root_);
  }

 private:
  bool fail(std::string_view what) {
    status_ = error_at(bytes_read_ > 0 ? bytes_read_ - 1 : 0, what);
    return false;
  }
  bool count() {
    if (++items_ <= limits_.max_items) return true;
    return fail("more than " + std::to_string(limits_.max_items) + " values and keys");
  }
  // Where the next value goes. Only the innermost open container grows, so the addresses in open_ stay good.
  Json* place(Json held) {
    if (open_.empty()) return &(root_ = std::move(held));
    if (open_.back()->is_object()) return &(open_.back()->as_object().back().second = std::move(held));
    return &open_.back()->as_array().emplace_back(std::move(held));
  }
  bool value(Json held) {
    if (!count()) return false;
    place(std::move(held));
    return true;
  }
  bool open(Json container) {
    if (!count()) return false;
    if (open_.size() >= size_t(limits_.max_depth)) {
      return fail("nested deeper than " + std::to_string(limits_.max_depth));
    }
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  Json root_;
  std::vector<Json*> open_;
  size_t items_ = 0;
  size_t bytes_read_ = 0;
  Status status_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  CHECK(limits.max_depth >= 0 && limits.max_depth <= kJsonDeepest, "a depth that recursion cannot bear");
  if (text.size() > limits.max_bytes) {
    return error_at(limits.max_bytes, "longer than " + std::to_string(limits.max_bytes) + " bytes");
  }
  // Two liberties that the library takes: a zero byte ends the text, and a byte order mark is skipped.
  if (const size_t zero = text.find('\0'); zero != text.npos) return error_at(zero, "a zero byte");
  if (text.substr(0, 3) == "\xEF\xBB\xBF") return error_at(0, "a byte order mark");
  Builder builder(limits);
  const Cursor begin{text.data(), builder.bytes_read()}, end{text.data() + text.size(), nullptr};
  try {
    (void)nlohmann::json::sax_parse(begin, end, &builder);  // false: the builder holds the reason
  } catch (const nlohmann::json::exception& error) {
    return error_at(*builder.bytes_read(), reason(error));
  }
  return builder.finish();
}

}  // namespace varve

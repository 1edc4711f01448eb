// Json as a value: reading, changing, comparing.
#include <algorithm>
#include <cmath>

#include "core/base/check.h"
#include "core/format/json.h"

namespace varve {
namespace {

bool same_number(int64_t whole, double real) {
  // 2^63 as a double is past the end of int64; every double below it converts exactly or is no integer.
  return real >= -0x1p63 && real < 0x1p63 && std::trunc(real) == real && int64_t(real) == whole;
}

std::vector<const Json::Member*> by_key(const Json::Object& object) {
  std::vector<const Json::Member*> members;
  members.reserve(object.size());
  for (const Json::Member& member : object) members.push_back(&member);
  std::sort(members.begin(), members.end(), [](auto* a, auto* b) { return a->first < b->first; });
  return members;
}

bool same_members(const Json::Object& a, const Json::Object& b) {
  if (a.size() != b.size()) return false;
  const auto left = by_key(a), right = by_key(b);
  return std::equal(left.begin(), left.end(), right.begin(), [](auto* x, auto* y) { return *x == *y; });
}

}  // namespace

bool Json::as_bool() const {
  CHECK(is_bool(), "the JSON value is no boolean");
  return std::get<bool>(held_);
}

int64_t Json::as_int() const {
  CHECK(is_int(), "the JSON value is no integer");
  return std::get<int64_t>(held_);
}

double Json::as_double() const {
  CHECK(is_number(), "the JSON value is no number");
  return is_int() ? double(std::get<int64_t>(held_)) : std::get<double>(held_);
}

const std::string& Json::as_string() const {
  CHECK(is_string(), "the JSON value is no string");
  return std::get<std::string>(held_);
}

const Json::Array& Json::as_array() const {
  CHECK(is_array(), "the JSON value is no array");
  return std::get<Array>(held_);
}

Json::Array& Json::as_array() {
  CHECK(is_array(), "the JSON value is no array");
  return std::get<Array>(held_);
}

const Json::Object& Json::as_object() const {
  CHECK(is_object(), "the JSON value is no object");
  return std::get<Object>(held_);
}

Json::Object& Json::as_object() {
  CHECK(is_object(), "the JSON value is no object");
  return std::get<Object>(held_);
}

size_t Json::size() const {
  if (is_array()) return as_array().size();
  return is_object() ? as_object().size() : 0;
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const Member& member : as_object()) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const Json& Json::operator[](std::string_view key) const {
  static const Json null;
  const Json* found = find(key);
  return found ? *found : null;
}

Json& Json::set(std::string_view key, Json value) {
  for (Member& member : as_object()) {
    if (member.first != key) continue;
    member.second = std::move(value);
    return *this;
  }
  as_object().emplace_back(std::string(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  as_array().push_back(std::move(value));
  return *this;
}

bool Json::operator==(const Json& other) const {
  if (is_int() && other.is_number() && !other.is_int()) return same_number(as_int(), other.as_double());
  if (other.is_int() && is_number() && !is_int()) return same_number(other.as_int(), as_double());
  if (is_object() && other.is_object()) return same_members(as_object(), other.as_object());
  return held_ == other.held_;
}

}  // namespace varve

// SchemaRules: the conversion of one schema. Values and combinations are in json_schema.cc, arrays and
// objects in json_containers.cc.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "run/decode/shape/json_parts.h"
#include "run/decode/shape/json_schema.h"

namespace varve::shape {

struct Place {
  std::string path = "#";
  int depth = 0;
  Place in(std::string_view key) const { return {path + "/" + std::string(key), depth + 1}; }
  Place in(size_t index) const { return in(std::to_string(index)); }
};

class SchemaRules {
 public:
  SchemaRules(const Json& root, Rules& rules) : root_(root), rules_(rules), json_(rules) {}

  Result<Rule> run();

 private:
  static Status invalid(const std::string& what) { return Status(Code::invalid, what); }
  static Status bad(const Place& place, const std::string& what) {
    return invalid("the schema at " + place.path + " " + what);
  }
  static Status unsupported(const Place& place, std::string_view key) {
    return Status(Code::unsupported,
                  "the schema keyword '" + std::string(key) + "' at " + place.path + " is not supported");
  }

  Result<Part> convert(const Json& schema, const Place& place);
  Result<Part> convert_object(const Json& schema, const Place& place);
  Status check_keywords(const Json& schema, const Place& place) const;
  Result<const Json*> resolve(const std::string& path) const;
  Result<Part> reference(const Json& schema, const Place& place);
  Result<Json> joined(const Json& a, const Json& b, const Place& place);
  Result<Json> dereferenced(const Json& schema, const Place& place);
  Result<Part> all_of(const Json& schema, const Place& place);
  Result<Part> any_of(const Json& schema, const char* key, const Place& place);
  Result<Part> values(const Json& schema, const Json& list) const;
  Result<std::vector<std::string>> types(const Json& schema, const Place& place) const;
  Result<Part> of_type(const std::string& type, const Json& schema, const Place& place);

  Result<Part> object(const Json& schema, const Place& place);
  Result<std::vector<std::pair<std::string, bool>>> members(const Json& schema, const Place& place) const;
  Result<Part> more_member(const Json& schema, const std::vector<std::pair<std::string, bool>>& members,
                           const Place& place);
  Part other_name(const std::vector<std::string>& names, size_t from, size_t to, size_t at);
  Result<Part> array(const Json& schema, const Place& place);
  Result<Part> string(const Json& schema, const Place& place);
  Result<Part> number(const Json& schema, const Place& place, bool whole);
  Result<int64_t> size(const Json& schema, const char* key, int64_t otherwise, const Place& place) const;

  const Json& root_;
  Rules& rules_;
  JsonParts json_;
  std::unordered_map<std::string, Rule> references_;
  std::vector<std::pair<Rule, std::string>> waiting_;
  int64_t joined_ = 0;
};

}  // namespace varve::shape

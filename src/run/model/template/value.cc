#include "run/model/template/value.h"

#include <cmath>
#include <functional>

#include "run/model/template/run.h"

namespace varve::jinja {
namespace {

constexpr size_t kIndexedFrom = 16;  // entries; fewer are searched one by one

Result<size_t> hash(Run& run, const Value& key, int depth = 0) {
  if (key.text()) return std::hash<std::string_view>()(key.view());
  if (key.none()) return size_t(7);
  if (key.number()) {
    const double real = key.real();
    return std::hash<double>()(real == 0 ? 0 : real);
  }
  if (key.list() != nullptr && key.list()->kind == List::tuple && depth < kNesting) {
    size_t sum = 11;
    for (const Value& item : key.list()->items_of) sum = sum * 31 + TRY(hash(run, item, depth + 1));
    TRY(run.spend(int64_t(key.list()->size())));
    return sum;
  }
  return run.fail(std::string("unhashable type: '") + type_name(key) + "'");
}

Status reindex(Run& run, Dict& dict) {
  dict.index.clear();
  if (dict.entries.size() < kIndexedFrom) return {};
  TRY(run.spend(int64_t(dict.entries.size())));
  for (uint32_t i = 0; i < dict.entries.size(); ++i) {
    dict.index.emplace(TRY(hash(run, dict.entries[i].key)), i);
  }
  return {};
}

Result<bool> equal_lists(Run& run, const List& a, const List& b, int depth) {
  if ((a.kind == List::tuple) != (b.kind == List::tuple) || a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!TRY(equal(run, a.items_of[i], b.items_of[i], depth + 1))) return false;
  }
  return true;
}

Result<bool> equal_dicts(Run& run, const Dict& a, Dict& b, int depth) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& entry : a.entries) {
    const Value* other = TRY(dict_find(run, b, entry.key));
    if (other == nullptr || !TRY(equal(run, entry.value, *other, depth + 1))) return false;
  }
  return true;
}

int sign(double d) {
  return d < 0 ? -1 : d > 0 ? 1 : 0;
}
template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

}  // namespace

const char* type_name(const Value& value) {
  if (value.undefined()) return "Undefined";
  if (value.none()) return "NoneType";
  if (value.is<bool>()) return "bool";
  if (value.is<int64_t>()) return "int";
  if (value.is<double>()) return "float";
  if (value.text()) return "str";
  if (value.dict() != nullptr) return "dict";
  if (value.thing() != nullptr) return value.thing()->type();
  static constexpr const char* kKinds[] = {"list",      "tuple",       "generator",
                                           "dict_keys", "dict_values", "dict_items"};
  return kKinds[value.list()->kind];
}

bool truthy(const Value& value) {
  if (value.undefined() || value.none()) return false;
  if (value.integral()) return value.integer() != 0;
  if (value.is<double>()) return value.real() != 0;
  if (value.text()) return !value.view().empty();
  if (const List* l = value.list()) return l->kind == List::stream || l->size() > 0;
  if (const Dict* d = value.dict()) return !d->entries.empty();
  return true;
}

Result<bool> equal(Run& run, const Value& a, const Value& b, int depth) {
  if (depth > kNesting) return run.fail("values nested too deeply to compare");
  TRY(run.spend(1));
  if (a.integral() && b.integral()) return a.integer() == b.integer();
  if (a.number() && b.number()) return a.real() == b.real();
  if (a.text() && b.text()) {
    if (a.view().size() != b.view().size()) return false;
    TRY(run.touch(a.view().size()));
    return a.view() == b.view();
  }
  if (a.list() != nullptr && b.list() != nullptr) {
    if (a.list() == b.list()) return true;
    return equal_lists(run, *a.list(), *b.list(), depth);
  }
  if (a.dict() != nullptr && b.dict() != nullptr) {
    return a.dict() == b.dict() ? true : equal_dicts(run, *a.dict(), *b.dict(), depth);
  }
  if (a.thing() != nullptr) return a.thing() == b.thing();
  return (a.undefined() && b.undefined()) || (a.none() && b.none());
}

Result<int> compare(Run& run, const Value& a, const Value& b, const char* op, int depth) {
  if (depth > kNesting) return run.fail("values nested too deeply to compare");
  TRY(run.spend(1));
  if (a.integral() && b.integral()) return order(a.integer(), b.integer());
  if (a.number() && b.number()) return std::isnan(a.real() - b.real()) ? 1 : sign(a.real() - b.real());
  if (a.text() && b.text()) {
    TRY(run.touch(std::min(a.view().size(), b.view().size())));
    return order(a.view(), b.view());
  }
  const List *x = a.list(), *y = b.list();
  if (x != nullptr && y != nullptr && x->kind == y->kind && x->kind <= List::tuple) {
    for (size_t i = 0; i < std::min(x->size(), y->size()); ++i) {
      if (TRY(equal(run, x->items_of[i], y->items_of[i], depth + 1))) continue;
      return compare(run, x->items_of[i], y->items_of[i], op, depth + 1);
    }
    return order(x->size(), y->size());
  }
  return run.fail(std::string("'") + op + "' not supported between instances of '" + type_name(a) +
                  "' and '" + type_name(b) + "'");
}

Result<bool> contains(Run& run, const Value& in, const Value& what) {
  if (in.text()) {
    if (!what.text()) {
      return run.fail(std::string("'in <string>' requires string as left operand, not ") + type_name(what));
    }
    TRY(run.touch(in.view().size()));
    return in.view().find(what.view()) != std::string_view::npos;
  }
  if (Dict* d = in.dict()) return TRY(dict_find(run, *d, what)) != nullptr;
  if (in.undefined()) return false;
  if (in.list() == nullptr) {
    return run.fail(std::string("argument of type '") + type_name(in) + "' is not iterable");
  }
  const List* l = TRY(run.iterate(in));
  for (size_t i = 0; i < l->size(); ++i) {
    if (TRY(equal(run, l->items_of[i], what))) return true;
  }
  return false;
}

Result<Value*> dict_find(Run& run, Dict& dict, const Value& key) {
  const size_t wanted = TRY(hash(run, key));
  TRY(run.spend(1));
  TRY(run.touch(key.view().size()));
  if (dict.index.empty()) {
    for (auto& entry : dict.entries) {
      if (TRY(equal(run, entry.key, key))) return &entry.value;
    }
    return static_cast<Value*>(nullptr);
  }
  const auto [begin, end] = dict.index.equal_range(wanted);
  for (auto at = begin; at != end; ++at) {
    auto& entry = dict.entries[at->second];
    if (TRY(equal(run, entry.key, key))) return &entry.value;
  }
  return static_cast<Value*>(nullptr);
}

Value* dict_find(const Dict& dict, std::string_view key) {
  const auto is = [&](const Dict::Entry& entry) { return entry.key.text() && entry.key.view() == key; };
  auto& entries = const_cast<Dict&>(dict).entries;
  if (dict.index.empty()) {
    for (auto& entry : entries) {
      if (is(entry)) return &entry.value;
    }
    return nullptr;
  }
  const auto [begin, end] = dict.index.equal_range(std::hash<std::string_view>()(key));
  for (auto at = begin; at != end; ++at) {
    if (is(entries[at->second])) return &entries[at->second].value;
  }
  return nullptr;
}

Status dict_set(Run& run, Dict& dict, const Value& key, Value value) {
  if (Value* there = TRY(dict_find(run, dict, key))) {
    *there = std::move(value);
    return {};
  }
  TRY(run.book(sizeof(Dict::Entry) + 48));
  dict.entries.push_back({key, std::move(value)});
  if (!dict.index.empty()) {
    dict.index.emplace(TRY(hash(run, key)), uint32_t(dict.entries.size() - 1));
    return {};
  }
  return reindex(run, dict);
}

Result<Value> dict_take(Run& run, Dict& dict, const Value& key) {
  Value* there = TRY(dict_find(run, dict, key));
  if (there == nullptr) return Value();
  for (auto entry = dict.entries.begin(); entry != dict.entries.end(); ++entry) {
    if (&entry->value != there) continue;
    Value value = std::move(*there);
    dict.entries.erase(entry);
    TRY(run.spend(int64_t(dict.entries.size() / 8)));
    TRY(reindex(run, dict));
    return value;
  }
  return Value();
}

Result<Value> Thing::call(Run& run, Args) {
  return run.fail(std::string("'") + type() + "' object is not callable");
}

}  // namespace varve::jinja

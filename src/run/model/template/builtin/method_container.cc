// The methods of list, tuple and dict.
#include <algorithm>

#include "run/model/template/builtin/builtin.h"

namespace varve::jinja {
namespace {

Value none() {
  return None{};
}

// One item more in place.
Status grow(Run& run, std::vector<Value>& items) {
  return run.book(sizeof(Value) * (items.size() == items.capacity() ? 2 : 1));
}

Result<Value> append(Run& run, const Value& self, Bound& args) {
  TRY(grow(run, self.list()->items_of));
  self.list()->items_of.push_back(args[0]);
  return none();
}

Result<Value> extend(Run& run, const Value& self, Bound& args) {
  const std::vector<Value> more = TRY(run.iterate(args[0]))->items_of;
  TRY(run.book(int64_t(more.size() * sizeof(Value))));
  TRY(run.spend(int64_t(more.size() / 8)));
  self.list()->items_of.insert(self.list()->items_of.end(), more.begin(), more.end());
  return none();
}

Result<Value> insert(Run& run, const Value& self, Bound& args) {
  auto& items = self.list()->items_of;
  int64_t at = TRY(want_integer(run, args[0], "the index"));
  const int64_t size = int64_t(items.size());
  at = std::clamp<int64_t>(at < 0 ? std::max(at, -size) + size : at, 0, size);
  TRY(grow(run, items));
  TRY(run.spend(size / 8));
  items.insert(items.begin() + at, args[1]);
  return none();
}

Result<Value> pop(Run& run, const Value& self, Bound& args) {
  auto& items = self.list()->items_of;
  int64_t at = args.has(0) ? TRY(want_integer(run, args[0], "the index")) : -1;
  const int64_t size = int64_t(items.size());
  if (at < 0) at += size;
  if (at < 0 || at >= size) return run.fail("pop index out of range");
  TRY(run.spend((size - at) / 8));
  Value value = std::move(items[at]);
  items.erase(items.begin() + at);
  return value;
}

Result<Value> index(Run& run, const Value& self, Bound& args) {
  for (size_t i = 0; i < self.list()->size(); ++i) {
    if (TRY(equal(run, self.list()->items_of[i], args[0]))) return Value(int64_t(i));
  }
  return run.fail("the value is not in the list");
}

Result<Value> count(Run& run, const Value& self, Bound& args) {
  int64_t found = 0;
  for (size_t i = 0; i < self.list()->size(); ++i)
    found += TRY(equal(run, self.list()->items_of[i], args[0]));
  return Value(found);
}

Result<Value> remove(Run& run, const Value& self, Bound& args) {
  const int64_t at = TRY(index(run, self, args)).integer();
  auto& items = self.list()->items_of;
  items.erase(items.begin() + at);
  return none();
}

Result<Value> reverse(Run& run, const Value& self, Bound&) {
  TRY(run.spend(int64_t(self.list()->size() / 8)));
  std::reverse(self.list()->items_of.begin(), self.list()->items_of.end());
  return none();
}

Result<Value> copy_list(Run& run, const Value& self, Bound&) {
  return Value(TRY(run.list(self.list()->items_of)));
}

Result<Value> clear_list(Run&, const Value& self, Bound&) {
  self.list()->items_of.clear();
  return none();
}

Result<Value> sort(Run& run, const Value& self, Bound& args) {
  const Value sorted = TRY(invoke(run, *find_filter("sort"), self, {args[0], Value(true)}));
  self.list()->items_of = sorted.list()->items_of;
  return none();
}

template <List::Kind kKind>
Result<Value> view(Run& run, const Value& self, Bound&) {
  std::vector<Value> out;
  for (const auto& [key, value] : self.dict()->entries) {
    if (kKind == List::items) {
      out.push_back(Value(TRY(run.list({key, value}, List::tuple))));
    } else {
      out.push_back(kKind == List::keys ? key : value);
    }
  }
  return Value(TRY(run.list(std::move(out), kKind)));
}

Result<Value> get(Run& run, const Value& self, Bound& args) {
  if (const Value* value = TRY(dict_find(run, *self.dict(), args[0]))) return *value;
  return args.has(1) ? args[1] : none();
}

Result<Value> set_default(Run& run, const Value& self, Bound& args) {
  if (const Value* value = TRY(dict_find(run, *self.dict(), args[0]))) return *value;
  const Value value = args.has(1) ? args[1] : none();
  TRY(dict_set(run, *self.dict(), args[0], value));
  return value;
}

Result<Value> take(Run& run, const Value& self, Bound& args) {
  Value value = TRY(dict_take(run, *self.dict(), args[0]));
  if (!value.undefined()) return value;
  return args.has(1) ? args[1] : Result<Value>(run.fail("the key is not in the dict"));
}

Result<Value> update(Run& run, const Value& self, Bound& args) {
  if (args.has(0)) {
    if (args[0].dict() == nullptr) return run.fail("update() needs a dict");
    const auto entries = args[0].dict()->entries;
    for (const auto& [key, value] : entries) TRY(dict_set(run, *self.dict(), key, value));
  }
  for (auto& [name, value] : args.named) TRY(dict_set(run, *self.dict(), Value(name), value));
  return none();
}

Result<Value> copy_dict(Run& run, const Value& self, Bound&) {
  Dict* copy = TRY(run.dict());
  for (const auto& [key, value] : self.dict()->entries) TRY(dict_set(run, *copy, key, value));
  return Value(copy);
}

Result<Value> clear_dict(Run&, const Value& self, Bound&) {
  self.dict()->entries.clear();
  self.dict()->index.clear();
  return none();
}

constexpr Builtin kListMethods[] = {
    {"append", "object", append}, {"extend", "iterable", extend}, {"insert", "index object", insert},
    {"pop", "index?", pop},       {"index", "value", index},      {"count", "value", count},
    {"remove", "value", remove},  {"reverse", "", reverse},       {"sort", "reverse?", sort},
    {"copy", "", copy_list},      {"clear", "", clear_list},
};

constexpr Builtin kDictMethods[] = {
    {"items", "", view<List::items>},
    {"keys", "", view<List::keys>},
    {"values", "", view<List::values>},
    {"get", "key default?", get},
    {"pop", "key default?", take},
    {"update", "other? **", update},
    {"setdefault", "key default?", set_default},
    {"copy", "", copy_dict},
    {"clear", "", clear_dict},
};

}  // namespace

Table list_methods() {
  return kListMethods;
}
Table dict_methods() {
  return kDictMethods;
}

}  // namespace varve::jinja

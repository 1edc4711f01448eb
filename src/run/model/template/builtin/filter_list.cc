// Filters on sequences. As in Jinja, those that pick or change items give a stream, which can be walked once.
#include <algorithm>

#include "run/model/template/ast.h"
#include "run/model/template/builtin/builtin.h"
#include "run/model/template/print.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

Result<Value> stream(Run& run, std::vector<Value> items) {
  return Value(TRY(run.list(std::move(items), List::stream)));
}

// What Jinja compares by: strings without case unless asked, and the attribute when one is named.
Result<Value> key_of(Run& run, const Value& item, const Value& attribute, bool with_case) {
  Value key = attribute.undefined() || attribute.none() ? item : TRY(get_path(run, item, attribute));
  return key.text() && !with_case ? TRY(run.text(lower(key.view()))) : key;
}

struct Keyed {
  Value key, item;
};

Result<std::vector<Keyed>> keyed(Run& run, const Value& self, const Value& attribute, bool with_case) {
  const List* items = TRY(run.iterate(self));
  std::vector<Keyed> out;
  for (size_t i = 0; i < items->size(); ++i) {
    TRY(run.room_for(int64_t(out.size() * sizeof(Keyed))));
    out.push_back({TRY(key_of(run, items->items_of[i], attribute, with_case)), items->items_of[i]});
  }
  return out;
}

// Stable, also backwards. The first failed comparison ends in an error; until then the order does not matter.
Status sort_keyed(Run& run, std::vector<Keyed>& items, bool reverse) {
  Status failed;
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    if (!failed.ok()) return false;
    auto order = compare(run, reverse ? b.key : a.key, reverse ? a.key : b.key);
    if (!order.ok()) failed = std::move(order).status();
    return failed.ok() && *order < 0;
  });
  return failed;
}

std::vector<Value> items_of(const std::vector<Keyed>& keyed) {
  std::vector<Value> out;
  out.reserve(keyed.size());
  for (const Keyed& k : keyed) out.push_back(k.item);
  return out;
}

Result<Value> sorted(Run& run, const Value& self, Bound& args) {
  auto items = TRY(keyed(run, self, args[2], truthy(args[1])));
  TRY(sort_keyed(run, items, truthy(args[0])));
  return Value(TRY(run.list(items_of(items))));
}

Result<Value> dict_sorted(Run& run, const Value& self, Bound& args) {
  if (self.dict() == nullptr) return run.fail("dictsort: the input must be a mapping");
  const bool by_value = args.has(1) && args[1].view() == "value";
  std::vector<Keyed> items;
  for (const auto& entry : self.dict()->entries) {
    Value key = TRY(key_of(run, by_value ? entry.value : entry.key, Value(), truthy(args[0])));
    items.push_back({std::move(key), Value(TRY(run.list({entry.key, entry.value}, List::tuple)))});
  }
  TRY(sort_keyed(run, items, truthy(args[2])));
  return Value(TRY(run.list(items_of(items))));
}

Result<Value> extreme(Run& run, const Value& self, Bound& args, bool greatest) {
  const auto items = TRY(keyed(run, self, args[1], truthy(args[0])));
  if (items.empty()) return Value();
  const Keyed* best = &items[0];
  for (const Keyed& k : items) {
    const int order = TRY(compare(run, k.key, best->key, greatest ? ">" : "<"));
    if (greatest ? order > 0 : order < 0) best = &k;
  }
  return best->item;
}

Result<Value> unique(Run& run, const Value& self, Bound& args) {
  Dict* seen = TRY(run.dict());
  std::vector<Value> out;
  for (auto& [key, item] : TRY(keyed(run, self, args[1], truthy(args[0])))) {
    if (TRY(dict_find(run, *seen, key)) != nullptr) continue;
    TRY(dict_set(run, *seen, key, Value(true)));
    out.push_back(std::move(item));
  }
  return stream(run, std::move(out));
}

Result<Value> grouped(Run& run, const Value& self, Bound& args) {
  auto items = TRY(keyed(run, self, args[0], truthy(args[2])));
  for (Keyed& k : items) {
    if (k.key.undefined() && args.has(1)) k.key = args[1];
  }
  TRY(sort_keyed(run, items, false));
  std::vector<Value> groups;
  for (size_t at = 0; at < items.size();) {
    size_t end = at + 1;
    while (end < items.size() && TRY(equal(run, items[end].key, items[at].key))) ++end;
    const Value name = TRY(get_path(run, items[at].item, args[0]));
    const std::vector<Keyed> group(items.begin() + at, items.begin() + end);
    const Value members(TRY(run.list(items_of(group))));
    groups.push_back(Value(TRY(run.list({name.undefined() ? args[1] : name, members}, List::tuple))));
    at = end;
  }
  return Value(TRY(run.list(std::move(groups))));
}

Result<Value> join(Run& run, const Value& self, Bound& args) {
  std::string held, out;
  const std::string_view between = TRY(soft_text(run, args[0], held));
  const List* items = TRY(run.iterate(self));
  for (size_t i = 0; i < items->size(); ++i) {
    if (i > 0) out.append(between);
    const Value& item = items->items_of[i];
    TRY(append_text(run, out, args.has(1) && !args[1].none() ? TRY(get_path(run, item, args[1])) : item));
    TRY(run.touch(between.size()));
    TRY(run.room_for(int64_t(out.size())));
  }
  return run.text(std::move(out));
}

Result<Value> sum(Run& run, const Value& self, Bound& args) {
  Value total = args.has(1) ? args[1] : Value(int64_t(0));
  const List* items = TRY(run.iterate(self));
  for (size_t i = 0; i < items->size(); ++i) {
    const Value& item = items->items_of[i];
    total = TRY(arithmetic(run, Op::add, total, args.has(0) ? TRY(get_path(run, item, args[0])) : item));
  }
  return total;
}

Result<Value> reversed(Run& run, const Value& self, Bound&) {
  if (self.text()) return get_slice(run, self, None{}, None{}, Value(int64_t(-1)));
  const List* items = TRY(run.iterate(self));
  return stream(run, std::vector<Value>(items->items_of.rbegin(), items->items_of.rend()));
}

Result<Value> listed(Run& run, const Value& self, Bound&) {
  return Value(TRY(run.list(TRY(run.iterate(self))->items_of)));
}

Result<Value> pairs(Run& run, const Value& self, Bound&) {
  if (self.undefined()) return stream(run, {});
  if (self.dict() == nullptr) return run.fail("Can only get item pairs from a mapping.");
  std::vector<Value> out;
  for (const auto& entry : self.dict()->entries) {
    out.push_back(Value(TRY(run.list({entry.key, entry.value}, List::tuple))));
  }
  return stream(run, std::move(out));
}

Result<Value> mapped(Run& run, const Value& self, Bound& args) {
  if (!truthy(self)) return stream(run, {});  // also of none
  const List* items = TRY(run.iterate(self));
  std::vector<Value> out;
  if (args.has(0)) {  // attribute, default
    for (size_t i = 0; i < items->size(); ++i) {
      Value value = TRY(get_path(run, items->items_of[i], args[0]));
      out.push_back(value.undefined() ? args[1] : std::move(value));
      TRY(run.room_for(int64_t(out.size() * sizeof(Value))));
    }
    return stream(run, std::move(out));
  }
  if (args.rest.empty()) return run.fail("map requires a filter argument");
  const std::string_view name = TRY(want_text(run, args.rest[0], "a filter's name"));
  const Builtin* filter = find_filter(name);
  if (filter == nullptr) return run.fail("no filter named '" + std::string(name) + "'");
  for (size_t i = 0; i < items->size(); ++i) {
    Args each{{args.rest.begin() + 1, args.rest.end()}, args.named};
    out.push_back(TRY(invoke(run, *filter, items->items_of[i], std::move(each))));
    TRY(run.room_for(int64_t(out.size() * sizeof(Value))));
  }
  return stream(run, std::move(out));
}

// select, reject, selectattr, rejectattr: [attribute,] [test, its arguments...]
Result<Value> picked(Run& run, const Value& self, Bound& args, bool by_attribute, bool wanted) {
  if (!truthy(self)) return stream(run, {});  // also of none
  if (by_attribute && args.rest.empty()) return run.fail("selectattr: the attribute is missing");
  const size_t at = by_attribute;
  const Builtin* test = nullptr;
  if (args.rest.size() > at) {
    const std::string_view name = TRY(want_text(run, args.rest[at], "a test's name"));
    test = find_builtin(tests(), name);
    if (test == nullptr) return run.fail("no test named '" + std::string(name) + "'");
  }
  const List* items = TRY(run.iterate(self));
  std::vector<Value> out;
  for (size_t i = 0; i < items->size(); ++i) {
    const Value item = items->items_of[i];
    Value value = by_attribute ? TRY(get_path(run, item, args.rest[0])) : item;
    if (test != nullptr) {
      Args each{{args.rest.begin() + at + 1, args.rest.end()}, args.named};
      value = TRY(invoke(run, *test, value, std::move(each)));
    }
    TRY(run.spend(kTicksPerStep));
    if (truthy(value) == wanted) out.push_back(item);
  }
  return stream(run, std::move(out));
}

Result<Value> batch(Run& run, const Value& self, Bound& args) {
  const int64_t size = TRY(want_integer(run, args[0], "the size of a batch"));
  if (size < 1 || size > kRange) return run.fail("batch: the size is from 1 to 100000");
  const List* items = TRY(run.iterate(self));
  std::vector<Value> out;
  for (size_t at = 0; at < items->size(); at += size_t(size)) {
    const size_t end = std::min(at + size_t(size), items->size());
    std::vector<Value> row(items->items_of.begin() + at, items->items_of.begin() + end);
    if (args.has(1) && !args[1].none()) row.resize(size_t(size), args[1]);
    out.push_back(Value(TRY(run.list(std::move(row)))));
  }
  return stream(run, std::move(out));
}

Result<Value> sliced(Run& run, const Value& self, Bound& args) {
  const int64_t count = TRY(want_integer(run, args[0], "the number of slices"));
  if (count < 1 || count > kRange) return run.fail("slice: the number is from 1 to 100000");
  const List* items = TRY(run.iterate(self));
  const size_t each = items->size() / size_t(count), longer = items->size() % size_t(count);
  std::vector<Value> out;
  for (size_t i = 0, at = 0; i < size_t(count); ++i) {
    const size_t end = at + each + (i < longer);
    std::vector<Value> part(items->items_of.begin() + at, items->items_of.begin() + end);
    if (args.has(1) && !args[1].none() && i >= longer && longer > 0) part.push_back(args[1]);
    out.push_back(Value(TRY(run.list(std::move(part)))));
    at = end;
  }
  return stream(run, std::move(out));
}

constexpr Builtin kFilters[] = {
    {"list", "", listed},
    {"items", "", pairs},
    {"join", "d? attribute?", join},
    {"map", "* attribute? default? **",
     [](Run& run, const Value& self, Bound& args) { return mapped(run, self, args); }},
    {"select", "* **",
     [](Run& run, const Value& self, Bound& args) { return picked(run, self, args, false, true); }},
    {"reject", "* **",
     [](Run& run, const Value& self, Bound& args) { return picked(run, self, args, false, false); }},
    {"selectattr", "* **",
     [](Run& run, const Value& self, Bound& args) { return picked(run, self, args, true, true); }},
    {"rejectattr", "* **",
     [](Run& run, const Value& self, Bound& args) { return picked(run, self, args, true, false); }},
    {"sort", "reverse? case_sensitive? attribute?", sorted},
    {"dictsort", "case_sensitive? by? reverse?", dict_sorted},
    {"min", "case_sensitive? attribute?",
     [](Run& run, const Value& self, Bound& args) { return extreme(run, self, args, false); }},
    {"max", "case_sensitive? attribute?",
     [](Run& run, const Value& self, Bound& args) { return extreme(run, self, args, true); }},
    {"sum", "attribute? start?", sum},
    {"unique", "case_sensitive? attribute?", unique},
    {"groupby", "attribute default? case_sensitive?", grouped},
    {"reverse", "", reversed},
    {"batch", "linecount fill_with?", batch},
    {"slice", "slices fill_with?", sliced},
};

}  // namespace

Table list_filters() {
  return kFilters;
}

}  // namespace varve::jinja

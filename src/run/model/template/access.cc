// a.b, a[b], a[from:to:step] and what the things of a template answer to their names.
#include <algorithm>

#include "run/model/template/builtin/builtin.h"
#include "run/model/template/things.h"
#include "run/model/template/utf8.h"

namespace varve::jinja {
namespace {

Status unusable(const Run& run, const Value& undefined) {
  return run.fail(undefined_text(undefined));
}

// Where Python would begin and end, and how far apart; already inside the sequence.
struct Cut {
  int64_t from, to, step;
};

Result<Cut> cut(Run& run, int64_t size, const Value& from, const Value& to, const Value& step) {
  Cut c{0, size, 1};
  if (!step.none()) c.step = TRY(want_integer(run, step, "a slice's step"));
  if (c.step == 0) return run.fail("slice step cannot be zero");
  const int64_t least = c.step < 0 ? -1 : 0, most = c.step < 0 ? size - 1 : size;
  const auto place = [&](const Value& bound, int64_t otherwise) -> Result<int64_t> {
    if (bound.none()) return otherwise;
    const int64_t at = TRY(want_integer(run, bound, "a slice's bound"));
    return std::clamp(at < 0 ? std::max(at, -size - 1) + size : at, least, most);
  };
  c.from = TRY(place(from, c.step < 0 ? most : least));
  c.to = TRY(place(to, c.step < 0 ? least : most));
  c.step = std::clamp<int64_t>(c.step, -size - 1, size + 1);
  return c;
}

Result<Value> slice_text(Run& run, std::string_view text, const Cut& c) {
  TRY(run.touch(text.size()));
  if (c.step == 1) {
    if (c.to <= c.from) return run.text("");
    const size_t from = byte_offset(text, size_t(c.from));
    const std::string_view tail = text.substr(from);
    return run.text(tail.substr(0, byte_offset(tail, size_t(c.to - c.from))));
  }
  std::vector<size_t> starts;  // of each character
  TRY(run.room_for(int64_t(text.size() * sizeof(size_t))));
  for (size_t at = 0; at < text.size(); at += char_at(text, at).bytes) starts.push_back(at);
  std::string out;
  for (int64_t i = c.from; c.step > 0 ? i < c.to : i > c.to; i += c.step) {
    out.append(text.substr(starts[i], char_at(text, starts[i]).bytes));
  }
  return run.text(std::move(out));
}

Result<Value> item_of_text(Run& run, std::string_view text, int64_t at) {
  TRY(run.touch(text.size()));
  if (at < 0) at += int64_t(count_chars(text));
  if (at < 0) return Value();
  const size_t byte = byte_offset(text, size_t(at));
  if (byte >= text.size()) return Value();
  return run.text(text.substr(byte, char_at(text, byte).bytes));
}

}  // namespace

std::string undefined_text(const Value& value) {
  const Undefined* u = value.as<Undefined>();
  if (u->name == nullptr) return "the value is undefined";
  const std::string name(u->name->view());
  if (u->owner == nullptr) return "'" + name + "' is undefined";
  return "'" + std::string(u->owner) + " object' has no attribute '" + name + "'";
}

Result<Value> get_attribute(Run& run, const Value& of, const Str& name) {
  if (of.undefined()) return unusable(run, of);
  if (const Builtin* method = find_method(of, name->view())) return bind(run, *method, of);
  if (const Dict* d = of.dict()) {
    if (const Value* value = dict_find(*d, name->view())) return *value;
  }
  Value value = of.thing() != nullptr ? of.thing()->attribute(run, name->view()) : Value();
  if (value.undefined()) return Value(Undefined{name.get(), type_name(of)});
  return value;
}

Result<Value> get_item(Run& run, const Value& of, const Value& key) {
  if (of.undefined()) return unusable(run, of);
  const bool hashable = key.dict() == nullptr && (key.list() == nullptr || key.list()->kind == List::tuple);
  if (Dict* d = of.dict(); d != nullptr && hashable) {
    if (const Value* value = TRY(dict_find(run, *d, key))) return *value;
  } else if (key.integral() && of.text()) {
    return item_of_text(run, of.view(), key.integer());
  } else if (key.integral() && of.list() != nullptr && of.list()->kind <= List::tuple) {
    const auto& items = of.list()->items_of;
    const int64_t at = key.integer() < 0 ? key.integer() + int64_t(items.size()) : key.integer();
    return at >= 0 && at < int64_t(items.size()) ? items[at] : Value();
  }
  if (!key.text()) return Value();
  // Undefined points at names of the template; the key may be shorter-lived, so it is not named.
  Value value = TRY(get_attribute(run, of, *key.as<Str>()));
  return value.undefined() ? Value() : value;
}

Result<Value> get_slice(Run& run, const Value& of, const Value& from, const Value& to, const Value& step) {
  if (of.undefined()) return unusable(run, of);
  if (of.text()) {
    return slice_text(run, of.view(), TRY(cut(run, int64_t(count_chars(of.view())), from, to, step)));
  }
  const List* l = of.list();
  if (l == nullptr || l->kind > List::tuple) {
    return run.fail(std::string("'") + type_name(of) + "' object cannot be sliced");
  }
  const Cut c = TRY(cut(run, int64_t(l->size()), from, to, step));
  std::vector<Value> items;
  TRY(run.room_for(int64_t(l->size() * sizeof(Value))));
  for (int64_t i = c.from; c.step > 0 ? i < c.to : i > c.to; i += c.step) items.push_back(l->items_of[i]);
  return Value(TRY(run.list(std::move(items), l->kind)));
}

Result<Value> get_path(Run& run, const Value& of, const Value& path) {
  if (!path.text()) return get_item(run, of, path);
  Value value = of;
  std::string_view left = path.view();
  for (bool more = true; more;) {
    const size_t dot = left.find('.');
    const std::string_view part = left.substr(0, dot);
    more = dot != left.npos;
    left.remove_prefix(more ? dot + 1 : left.size());
    const bool index = !part.empty() && part.size() < 10 && all_of(part, CharClass::decimal) &&
                       part[0] < 0x40 && (part[0] & 0x80) == 0;
    const Value key = index ? Value(int64_t(std::stol(std::string(part)))) : TRY(run.text(part));
    value = TRY(get_item(run, value, key));
  }
  return value;
}

Value Loop::attribute(Run& run, std::string_view name) {
  const int64_t size = int64_t(items_.size()), index = int64_t(at);
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return size - index;
  if (name == "revindex0") return size - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == size;
  if (name == "length") return size;
  if (name == "depth") return int64_t(1);  // of recursion, which there is none of
  if (name == "depth0") return int64_t(0);
  if (name == "previtem") return index > 0 ? items_.items_of[at - 1] : Value();
  if (name == "nextitem") return index + 1 < size ? items_.items_of[at + 1] : Value();
  static constexpr Builtin kMethods[] = {
      {"cycle", "*",
       [](Run& r, const Value& self, Bound& args) {
         return static_cast<Loop*>(self.thing())->cycle(r, args.rest);
       }},
      {"changed", "*",
       [](Run& r, const Value& self, Bound& args) {
         return static_cast<Loop*>(self.thing())->changed(r, std::move(args.rest));
       }},
  };
  const Builtin* method = find_builtin(kMethods, name);
  if (method == nullptr) return Value();
  auto bound = bind(run, *method, Value(static_cast<Thing*>(this)));
  return bound.ok() ? std::move(bound).value() : Value();
}

Result<Value> Loop::cycle(Run& run, const std::vector<Value>& values) const {
  if (values.empty()) return run.fail("no items for cycling given");
  return values[at % values.size()];
}

Result<Value> Loop::changed(Run& run, std::vector<Value> values) {
  bool same = values.size() == last_.size();
  for (size_t i = 0; same && i < values.size(); ++i) same = TRY(equal(run, values[i], last_[i]));
  last_ = std::move(values);
  return Value(!same);
}

Value Cycler::attribute(Run& run, std::string_view name) {
  if (name == "current") return values_[at_ % values_.size()];
  static constexpr Builtin kMethods[] = {
      {"next", "",
       [](Run&, const Value& self, Bound&) -> Result<Value> {
         return static_cast<Cycler*>(self.thing())->next();
       }},
      {"reset", "",
       [](Run&, const Value& self, Bound&) -> Result<Value> {
         static_cast<Cycler*>(self.thing())->reset();
         return Value(None{});
       }},
  };
  const Builtin* method = find_builtin(kMethods, name);
  if (method == nullptr) return Value();
  auto bound = bind(run, *method, Value(static_cast<Thing*>(this)));
  return bound.ok() ? std::move(bound).value() : Value();
}

}  // namespace varve::jinja

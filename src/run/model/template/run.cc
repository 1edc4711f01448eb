#include "run/model/template/run.h"

#include "run/model/template/utf8.h"

namespace varve::jinja {

Status Run::fail(std::string_view what) const {
  return Status(Code::invalid, "line " + std::to_string(line) + ": " + std::string(what));
}

Status Run::spend(int64_t ticks) {
  ticks_ -= ticks;
  return ticks_ >= 0 ? Status() : fail("the template takes more than a million steps");
}

Status Run::room_for(int64_t bytes) const {
  return bytes <= kBytes - booked_.bytes ? Status() : fail("the template needs more than 64 MiB");
}

Status Run::book(int64_t bytes) {
  TRY(room_for(bytes));
  booked_.bytes += bytes;
  return {};
}

Result<Value> Run::text(std::string bytes) {
  TRY(book(Text::cost(bytes.size())));
  TRY(touch(bytes.size()));
  return Value(Str(std::make_shared<Text>(std::move(bytes), &booked_)));
}

Result<List*> Run::list(std::vector<Value> items, List::Kind kind) {
  TRY(book(int64_t(sizeof(List) + items.size() * sizeof(Value)) + 32));
  TRY(spend(int64_t(items.size() / 8)));
  lists_.push_back(std::make_unique<List>(std::move(items), kind));
  return lists_.back().get();
}

Result<Dict*> Run::dict() {
  TRY(book(sizeof(Dict) + 32));
  dicts_.push_back(std::make_unique<Dict>());
  return dicts_.back().get();
}

Result<Value> Run::thing(std::unique_ptr<Thing> thing, int64_t extra_bytes) {
  TRY(book(96 + extra_bytes));
  things_.push_back(std::move(thing));
  return Value(things_.back().get());
}

Result<List*> Run::iterate(const Value& value) {
  if (List* l = value.list()) return l->kind == List::stream ? list(std::exchange(l->items_of, {})) : l;
  std::vector<Value> items;
  if (const Dict* d = value.dict()) {
    for (const auto& entry : d->entries) items.push_back(entry.key);
  } else if (value.text()) {
    const std::string_view all = value.view();
    for (size_t at = 0; at < all.size();) {
      const size_t bytes = char_at(all, at).bytes;
      items.push_back(TRY(text(all.substr(at, bytes))));
      at += bytes;
    }
  } else if (!value.undefined()) {
    return fail(std::string("'") + type_name(value) + "' object is not iterable");
  }
  return list(std::move(items));
}

Status Run::write(std::string_view bytes) {
  TRY(book(int64_t(bytes.size())));
  TRY(touch(bytes.size()));
  out.append(bytes);
  return {};
}

std::string Run::take_output(std::string before) {
  std::string captured = std::exchange(out, std::move(before));
  booked_.bytes -= int64_t(captured.size());
  return captured;
}

}  // namespace varve::jinja

// Registry: the one way that a method gets a name. Filled by an explicit list (all.cc), never by
// a static initialiser, so that `grep` finds every method and the linker drops none.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/options.h"
#include "core/base/status.h"

namespace varve {

template <class Interface>
class Registry {
 public:
  using Made = Result<std::unique_ptr<Interface>>;
  using Maker = Made (*)(const Spec&);
  struct Entry {
    std::string_view name;
    std::string_view summary;  // shown by `varve list` and in docs/reference
    Maker make;
  };

  Registry& add(std::string_view name, std::string_view summary, Maker maker) {
    entries_.push_back({name, summary, maker});
    return *this;
  }
  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Entry& entry : entries_) all.emplace_back(entry.name);
    return all;
  }

  std::string known() const {  // "a, b, c": for error messages
    std::string all;
    for (const Entry& entry : entries_) all.append(all.empty() ? "" : ", ").append(entry.name);
    return all;
  }

  Made make(std::string_view text) const { return make(TRY(parse_spec(text))); }
  Made make(const Spec& spec) const {
    for (const Entry& entry : entries_) {
      if (entry.name == spec.name) return entry.make(spec);
    }
    return Status(Code::not_found, "no method named '" + spec.name + "'; there are " + known());
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace varve

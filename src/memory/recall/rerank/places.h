// Places: slots numbered in the order they come, by open addressing: a question looks at a thousand or two.
#pragma once

#include <cstdint>
#include <vector>

#include "memory/recall/entries.h"

namespace varve::reranker {

class Places {
 public:
  static constexpr uint32_t kNone = Entries::kNone;

  uint32_t find(uint32_t slot) const { return table_[at(slot)]; }  // its number, or kNone
  uint32_t add(uint32_t slot) {                                    // its number, new or not
    size_t where = at(slot);
    if (table_[where] != kNone) return table_[where];
    if (slots_.size() * 2 >= table_.size()) {
      grow();
      where = at(slot);
    }
    slots_.push_back(slot);
    return table_[where] = uint32_t(slots_.size() - 1);
  }
  const std::vector<uint32_t>& slots() const { return slots_; }

 private:
  size_t at(uint32_t slot) const {
    const size_t mask = table_.size() - 1;
    size_t where = (slot * 2654435769u >> 8) & mask;
    while (table_[where] != kNone && slots_[table_[where]] != slot) where = (where + 1) & mask;
    return where;
  }
  void grow() {
    table_.assign(table_.size() * 2, kNone);
    for (uint32_t i = 0; i < slots_.size(); ++i) table_[at(slots_[i])] = i;
  }

  std::vector<uint32_t> table_ = std::vector<uint32_t>(4096, kNone), slots_;
};

}  // namespace varve::reranker

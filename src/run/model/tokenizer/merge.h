// The loop that both kinds of BPE share: neighbours merge, the best pair first, in O(n log n).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace varve {

struct Symbol {
  uint32_t begin = 0, bytes = 0;  // in the word; 0 bytes: merged into its left neighbour
  int32_t previous = -1, next = -1;
  int32_t token = -1;  // or whatever number the vocabulary gives the text; -1: none
};

struct Merge {
  float priority;  // smaller goes first; of equals the leftmost
  int32_t token;
};

// Works on one word after another; its buffers stay.
class Merger {
 public:
  std::vector<Symbol> symbols;

  // Appends a symbol at the end of the word.
  void add(uint32_t begin, uint32_t bytes, int32_t token) {
    const auto at = static_cast<int32_t>(symbols.size());
    if (at > 0) symbols.back().next = at;
    symbols.push_back({begin, bytes, at - 1, -1, token});
  }

  // `join(left, right)` gives what two neighbours become: std::optional<Merge>. Afterwards the chain from
  // symbols[0] along `next` is the result.
  template <class Join>
  void run(const Join& join) {
    heap_.clear();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) offer(static_cast<int32_t>(i), join);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const Candidate best = heap_.back();
      heap_.pop_back();
      Symbol& left = symbols[best.left];
      if (left.bytes == 0 || left.next < 0) continue;
      Symbol& right = symbols[left.next];
      if (left.bytes + right.bytes != best.bytes) continue;  // one of the two has changed since
      left.bytes = best.bytes;
      left.token = best.token;
      left.next = right.next;
      right.bytes = 0;
      if (left.next >= 0) symbols[left.next].previous = best.left;
      if (left.previous >= 0) offer(left.previous, join);
      offer(best.left, join);
    }
  }

 private:
  struct Candidate {
    float priority;
    int32_t left, token;
    uint32_t bytes;
  };
  static bool later(const Candidate& a, const Candidate& b) {
    return a.priority != b.priority ? a.priority > b.priority : a.left > b.left;
  }

  template <class Join>
  void offer(int32_t left, const Join& join) {
    const Symbol& symbol = symbols[left];
    if (symbol.next < 0) return;
    const Symbol& right = symbols[symbol.next];
    const std::optional<Merge> merge = join(symbol, right);
    if (!merge) return;
    heap_.push_back({merge->priority, left, merge->token, symbol.bytes + right.bytes});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  std::vector<Candidate> heap_;
};

}  // namespace varve

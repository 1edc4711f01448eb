#include "run/model/tokenizer/strings.h"

#include <algorithm>
#include <functional>

namespace varve {

int32_t StringTable::add(std::string_view text) {
  bytes_ += text;
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  return size() - 1;
}

void StringTable::pack() {
  bytes_.shrink_to_fit();
  ends_.shrink_to_fit();
}

std::string_view StringTable::operator[](int32_t number) const {
  const size_t begin = number == 0 ? 0 : ends_[number - 1];
  return std::string_view(bytes_).substr(begin, ends_[number] - begin);
}

size_t StringIndex::slot(const StringTable& table, std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t at = std::hash<std::string_view>()(text) & mask;
  while (slots_[at] >= 0 && table[slots_[at]] != text) at = (at + 1) & mask;
  return at;
}

void StringIndex::add(const StringTable& table, int32_t number) {
  if (used_ * 2 >= slots_.size()) grow(table);
  int32_t& held = slots_[slot(table, table[number])];
  if (held >= 0) return;
  held = number;
  ++used_;
}

void StringIndex::grow(const StringTable& table) {
  std::vector<int32_t> old(std::max<size_t>(16, slots_.size() * 2), -1);
  old.swap(slots_);
  for (int32_t number : old) {
    if (number >= 0) slots_[slot(table, table[number])] = number;
  }
}

int32_t StringIndex::find(const StringTable& table, std::string_view text) const {
  return slots_.empty() ? -1 : slots_[slot(table, text)];
}

Trie::Trie(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.text != b.text ? a.text < b.text : a.value < b.value;
  });
  struct Range {  // the entries below a node; all agree on their first `depth` bytes
    size_t begin, end, depth;
  };
  std::vector<Range> ranges{{0, entries.size(), 0}};
  nodes_.resize(1);
  for (size_t node = 0; node < ranges.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    if (begin < end && entries[begin].text.size() == depth) nodes_[node].value = entries[begin].value;
    while (begin < end && entries[begin].text.size() == depth) ++begin;
    nodes_[node].children = static_cast<int32_t>(nodes_.size());
    while (begin < end) {
      const char byte = entries[begin].text[depth];
      const size_t first = begin;
      while (begin < end && entries[begin].text[depth] == byte) ++begin;
      ranges.push_back({first, begin, depth + 1});
      nodes_.push_back({.byte = static_cast<unsigned char>(byte)});
      ++nodes_[node].count;
    }
  }
  nodes_.shrink_to_fit();
}

int32_t Trie::child(int32_t node, char byte) const {
  const auto wanted = static_cast<unsigned char>(byte);
  const auto begin = nodes_.begin() + nodes_[node].children;
  const auto end = begin + nodes_[node].count;
  const auto at =
      std::lower_bound(begin, end, wanted, [](const Node& n, unsigned char b) { return n.byte < b; });
  return at == end || at->byte != wanted ? -1 : static_cast<int32_t>(at - nodes_.begin());
}

Trie::Match Trie::longest(std::string_view text) const {
  Match best;
  int32_t node = kRoot;
  for (size_t i = 0;; ++i) {
    if (value(node) >= 0) best = {value(node), i};
    if (i == text.size() || (node = child(node, text[i])) < 0) return best;
  }
}

}  // namespace varve

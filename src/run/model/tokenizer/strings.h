// Many short strings in two blocks: all of them in a row with their ends, an index by content, and a trie.
// A vocabulary has hundreds of thousands; one allocation each would cost more than the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

template <class T>
int64_t held_bytes(const std::vector<T>& values) {
  return int64_t(values.capacity() * sizeof(T));
}

class StringTable {
 public:
  // Total bytes stay below 4 GiB (the caller checks what comes from outside). Returns the string's number.
  int32_t add(std::string_view text);
  std::string_view operator[](int32_t number) const;
  int32_t size() const { return static_cast<int32_t>(ends_.size()); }
  void pack();  // nothing more will be added: gives back what it grew by in advance
  int64_t held_bytes() const { return int64_t(bytes_.capacity()) + varve::held_bytes(ends_); }

 private:
  std::string bytes_;
  std::vector<uint32_t> ends_;
};

// Finds the numbers of a table's strings. Of equal strings the one added first is found.
class StringIndex {
 public:
  void add(const StringTable& table, int32_t number);
  int32_t find(const StringTable& table, std::string_view text) const;  // -1: absent
  int64_t held_bytes() const { return varve::held_bytes(slots_); }

 private:
  size_t slot(const StringTable& table, std::string_view text) const;
  void grow(const StringTable& table);

  std::vector<int32_t> slots_;  // open addressing, a power of two, at most half full; -1 is free
  size_t used_ = 0;
};

class Trie {
 public:
  struct Entry {
    std::string_view text;
    int32_t value;  // >= 0
  };
  struct Match {
    int32_t value = -1;  // -1: none
    size_t bytes = 0;
  };
  static constexpr int32_t kRoot = 0;

  Trie() : Trie(std::vector<Entry>{}) {}
  explicit Trie(std::vector<Entry> entries);  // of equal texts the smallest value counts

  Match longest(std::string_view text) const;    // the longest entry that `text` begins with
  int32_t child(int32_t node, char byte) const;  // -1: none
  int32_t value(int32_t node) const { return nodes_[node].value; }  // -1: no entry ends here
  int64_t held_bytes() const { return varve::held_bytes(nodes_); }

 private:
  struct Node {
    int32_t value = -1, children = 0;  // the first child; siblings lie in a row, by byte
    uint16_t count = 0;
    unsigned char byte = 0;
  };
  std::vector<Node> nodes_;
};

}  // namespace varve

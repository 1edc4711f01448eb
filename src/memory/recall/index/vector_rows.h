// VectorRows: a vector of each memory in 8 bits, by slot: what rerankers look at once more. Many of them lie
// in a file, read row by row, so that they are not in RAM. The file has no name: it is gone with the process
// that made it. Externally synchronised; reads may run side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/io/env.h"

namespace varve {

class VectorRows {
 public:
  static constexpr int64_t kMostInRam = 8 << 20;  // bytes

  // Without an env all stays in RAM.
  explicit VectorRows(Env* env = nullptr, std::string folder = {}, int64_t most_in_ram = kMostInRam);

  // Of length 1 or less. One of another width than the first is not kept: no row is no likeness.
  void set(uint32_t slot, std::span<const float> unit);
  void set(uint32_t slot, std::span<const int8_t> row);
  void remove(uint32_t slot);  // no byte of it stays
  bool has(uint32_t slot) const { return slot < there_.size() && there_[slot]; }
  // Good until `room` or a row changes; empty where there is none.
  std::span<const int8_t> read(uint32_t slot, std::vector<int8_t>& room) const;
  int64_t bytes() const { return int64_t(ram_.capacity() + there_.capacity() / 8); }

  static float cosine(std::span<const int8_t> row, std::span<const float> unit);  // 0 where either is absent

 private:
  bool write(uint32_t slot, std::span<const int8_t> row);
  void move_out();

  Env* env_;
  std::string folder_;
  int64_t most_in_ram_;
  size_t width_ = 0, count_ = 0;
  std::vector<bool> there_;
  std::vector<int8_t> ram_;  // rows, until they are too many
  std::unique_ptr<File> file_;
};

}  // namespace varve

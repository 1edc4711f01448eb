// KvSwap: pages that have to make room, in one file that has no name: nothing of it outlives the process. A
// checksum that begins with the number of the slot is verified whenever a page is read.
//
// Locked: pages may be read ahead on another thread.
#pragma once

#include <map>
#include <mutex>

#include "core/io/env.h"
#include "run/kv/kv_pool.h"

namespace varve {

class KvSwap {
 public:
  struct Slot {  // some pages on the disk; empty: none
    uint64_t number = 0;
    int64_t at = 0;
    std::vector<uint32_t> sums;  // a page each
    bool empty() const { return sums.empty(); }
  };

  // The file is made in the folder and loses its name at once. At most `most_bytes` are written.
  static Result<std::unique_ptr<KvSwap>> open(Env& env, const std::string& folder, int64_t most_bytes);

  // over_budget: the bytes that were granted are taken; io: the disk is full, or worse. Then nothing changed.
  Result<Slot> write(std::span<const KvPagePtr> pages);
  // As many pages as were written, from the slot's page `first` on. corrupt: not the bytes that were written.
  Status read(const Slot& slot, std::span<const KvPagePtr> pages, size_t first = 0) const;
  void drop(Slot& slot);
  int64_t bytes() const;  // in slots

 private:
  KvSwap(std::unique_ptr<File> file, int64_t most_bytes) : file_(std::move(file)), most_bytes_(most_bytes) {}
  Result<int64_t> place(int64_t bytes);  // with the lock

  const std::unique_ptr<File> file_;
  const int64_t most_bytes_;
  mutable std::mutex mutex_;
  std::map<int64_t, int64_t> taken_;  // where a slot begins, and where it ends
  int64_t bytes_ = 0;
  uint64_t last_ = 0;
};

}  // namespace varve

// Rooms: as many equal pieces of scratch as threads work at once; whoever works takes one and gives it back.
// What is computed in a room must not depend on which one it is.
#pragma once

#include <mutex>
#include <vector>

#include "core/budget/buffer.h"

namespace varve {

class Rooms {
 public:
  static int64_t bytes(int64_t each, int count) { return (each + 63) / 64 * 64 * count; }
  Status make(Ledger& ledger, int64_t each, int count) {
    each_ = (each + 63) / 64 * 64;
    buffer_ = TRY(Buffer::make(ledger, Tag::scratch, each_ * count));
    for (int i = 0; i < count; ++i) free_.push_back(i);
    return {};
  }

  class Room {
   public:
    explicit Room(Rooms& rooms) : rooms_(rooms), index_(rooms.take()) {}
    ~Room() { rooms_.give(index_); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    std::span<float> floats() const {
      const auto bytes =
          rooms_.buffer_.bytes().subspan(size_t(rooms_.each_) * size_t(index_), size_t(rooms_.each_));
      return {reinterpret_cast<float*>(bytes.data()), bytes.size() / 4};
    }

   private:
    Rooms& rooms_;
    int index_;
  };

 private:
  int take() {
    const std::lock_guard lock(mutex_);
    CHECK(!free_.empty(), "no more hands than rooms");
    const int index = free_.back();
    free_.pop_back();
    return index;
  }
  void give(int index) {
    const std::lock_guard lock(mutex_);
    free_.push_back(index);
  }

  Buffer buffer_;
  int64_t each_ = 0;
  std::mutex mutex_;
  std::vector<int> free_;
};

}  // namespace varve

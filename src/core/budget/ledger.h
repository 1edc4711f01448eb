// Ledger: every large byte in the process is reserved here first, under a tag, or it is not allocated.
//
// The limit is hard. A reservation that does not fit asks the shrinkers, in the order of their
// addition, to give bytes back; if that is not enough, reserve() returns over_budget and nothing changed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve {

enum class Tag : uint8_t { weights, kv, scratch, index, cubes, gradients, optimizer, io, activations, count };
std::string_view to_string(Tag tag);

class Ledger;

// Owns `bytes` of the budget; gives them back when it dies.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept { *this = std::move(other); }
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  int64_t bytes() const { return bytes_; }
  Status resize(int64_t bytes);

 private:
  friend class Ledger;
  Reservation(Ledger* ledger, Tag tag, int64_t bytes) : ledger_(ledger), tag_(tag), bytes_(bytes) {}
  Ledger* ledger_ = nullptr;
  Tag tag_ = Tag::scratch;
  int64_t bytes_ = 0;
};

// Something that can give bytes back when asked: the weight store, the cold KV tier, an index cache.
class Shrinker {
 public:
  virtual ~Shrinker() = default;
  // Releases reservations worth about `bytes`; called on any thread, without the ledger's lock. Must not
  // reserve, nor wait for a thread that may.
  virtual void shrink(int64_t bytes) = 0;
};

class Ledger {
 public:
  // `outside_bytes`: what the process takes beside what is booked here - code, stacks, the small heap. It
  // only makes messages true: the budget that a user gave is both together.
  explicit Ledger(int64_t limit_bytes, int64_t outside_bytes = 0)
      : limit_(limit_bytes), outside_(outside_bytes) {}

  Result<Reservation> reserve(Tag tag, int64_t bytes);
  // `last`: asked after all others, whenever they come: what it gives back is dear.
  void add_shrinker(Shrinker* shrinker, bool last = false);
  void remove_shrinker(Shrinker* shrinker);  // waits for a shrink() under way

  // Another limit from now on. over_budget: the shrinkers could not give back enough; then nothing changed.
  Status set_limit(int64_t limit_bytes);

  int64_t limit() const { return limit_; }
  int64_t outside() const { return outside_; }
  int64_t used() const;
  int64_t used(Tag tag) const;
  int64_t peak() const;

 private:
  friend class Reservation;
  bool take(Tag tag, int64_t bytes);
  void give(Tag tag, int64_t bytes);

  std::atomic<int64_t> limit_;
  const int64_t outside_;
  mutable std::mutex mutex_;
  int64_t used_ = 0;
  int64_t peak_ = 0;
  std::array<int64_t, static_cast<size_t>(Tag::count)> by_tag_{};
  std::shared_mutex shrinkers_mutex_;
  std::vector<Shrinker*> shrinkers_;
  size_t last_ = 0;  // so many of them come after all others
};

}  // namespace varve

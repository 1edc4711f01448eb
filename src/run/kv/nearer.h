// Nearer: beyond the length that a model was trained for it knows no distances. So what a query reads is
// moved together: the newest tokens keep their places, and what is read of those before follows them without
// holes, as StreamingLLM and InfLLM count positions. What the cache holds is never rewritten: keys are turned
// in a copy, from where they were read, for one layer of one step.
//
// A sequence within that length, and one that reads everything, is left alone, to the bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/budget/ledger.h"
#include "math/ops/ops.h"
#include "run/kv/policy.h"
#include "run/kv/select.h"

namespace varve {

// How a model's keys hold their place.
struct KvPositions {
  int32_t trained = 0;           // tokens that it was trained for; 0: nothing is moved
  std::vector<RopeSpec> layers;  // what the spans in them point to outlives every cache
};

class Nearer {
 public:
  explicit Nearer(Ledger& ledger) : ledger_(ledger) {}
  // `lanes`: what is read of each KV head by queries of which the newest stands at `newest`. Valid until the
  // next call. Where the ledger has no room for the copy, they are `lanes`.
  KvLanes move(Ops& ops, const KvPositions& positions, int32_t layer, KvLanes lanes, int32_t newest,
               const AttendSpec& how);
  int64_t bytes() const { return booked_.bytes(); }

 private:
  struct Copy {  // of one page's keys, and of what else cannot stay where it lies
    std::vector<std::byte> keys, values;
    std::vector<int32_t> positions;
  };
  struct Lane {
    std::vector<int32_t> read;  // positions, ascending
    std::vector<Copy> copies;
    std::vector<KvPageView> views;
  };
  bool look(KvLanes lanes, int32_t newest);
  static int32_t place(const Lane& lane, const KvPositions& positions, int32_t position, bool stands_in);
  static void copy(const RopeSpec& rope, const AttendSpec& how, const KvPageView& page, Copy& to,
                   KvPageView& view);
  bool book(KvLanes lanes, const AttendSpec& how);

  Ledger& ledger_;
  std::vector<Lane> lanes_;
  std::vector<std::span<const KvPageView>> moved_;
  Reservation booked_;
};

}  // namespace varve

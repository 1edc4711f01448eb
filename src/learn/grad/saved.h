// Saved: what a step keeps of each block until backward comes to it: slots encoded, in booked memory or in a
// file that has no name.
#pragma once

#include <memory>
#include <vector>

#include "core/budget/buffer.h"
#include "core/io/env.h"
#include "learn/grad/score.h"

namespace varve {

struct SavedBytes {
  int64_t held = 0, spilled = 0, staging = 0;  // staging: one slot on its way to the file
};

class Saved {
 public:
  // One score's widths serve all layers. invalid: a slot that does not fill whole blocks of its codec.
  static Result<SavedBytes> bytes(const Score& score, std::span<const LayerPlan> layers, int32_t rows);
  // `file` is needed where something is spilled; it is the caller's to remove.
  static Result<Saved> make(const Score& score, std::span<const LayerPlan> layers, int32_t rows,
                            Ledger& ledger, std::unique_ptr<File> file);

  Status put(TrainOps& train, int32_t layer, Frame& frame);
  // Decodes what was put of a layer and says how many rows of each slot are there.
  Result<std::array<int32_t, kSlots>> get(TrainOps& train, int32_t layer, Frame& frame);

 private:
  struct Place {
    int64_t at = 0, bytes_a_row = 0;
    const Codec* codec = nullptr;  // null: not kept
    bool spilled = false;
    SlotPlan plan;
    Rows kept(Rows rows) const { return rows.slice(0, plan.rows(rows.count())); }
  };
  using Places = std::array<Place, kSlots>;
  static Result<Place> place(const Score& score, const SlotPlan& plan, Slot slot);
  std::vector<Places> layers_;
  Buffer held_, staging_;
  std::unique_ptr<File> file_;
};

}  // namespace varve

// The score of a block: its ops as a table, with the slots they read and write. Forward plays it from left to
// right, backward from right to left. Which slots survive until backward, and how, is a value, not code: what
// was not kept is played again.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "learn/grad/leaf.h"
#include "run/model/block/decoder_spec.h"

namespace varve {

enum class Slot : uint8_t {
  x,     // the residual stream, before
  h,     // normed, for attention
  keep,  // logits: whether a token's KV stays, a KV head
  q0,
  k0,  // projected, where heads are normed
  q,
  k,
  v,  // as attention reads them
  o,
  sums,  // what attention adds, before its projection; the logs of its sums
  mid,   // the stream between
  h2,    // normed, for the network
  gate,
  up,
  act,
  y,  // the stream, after
  count
};
inline constexpr size_t kSlots = size_t(Slot::count);
std::string_view to_string(Slot slot);

// recompute: played again from what is kept. hold: encoded by `codec`. spill: likewise, in a file.
enum class Keep : uint8_t { recompute, hold, spill };
struct SlotPlan {
  Keep keep = Keep::recompute;
  const Codec* codec = nullptr;
  float share = 1;  // of the rows: the rest are played again (MEMO)
  int32_t rows(int32_t count) const { return share < 1 ? int32_t(share * float(count)) : count; }
};
using LayerPlan = std::array<SlotPlan, kSlots>;

// The rows of a micro-batch, and what all blocks need to know of them.
struct Documents {
  std::span<const int32_t> positions, starts;
};

// One block at work: its slots as rows, and their slopes on the way back.
struct Frame {
  Frame from(int32_t row) const;  // the rows from `row` on
  Flow flow;
  Documents documents;
  Rows angles, angles_local;
  std::array<Rows, kSlots> value, slope;
  Rows& operator[](Slot slot) { return value[size_t(slot)]; }
  Rows& d(Slot slot) { return slope[size_t(slot)]; }
};

class Op {
 public:
  virtual ~Op() = default;
  virtual Status forward(Frame& frame) const = 0;
  // Values of the slots it read and wrote are there, and the slopes of those it wrote.
  virtual Status backward(Frame& frame, Sink& sink) const = 0;
  virtual std::vector<Slot> writes() const = 0;
  virtual bool row_by_row() const { return true; }  // forward() of some rows is those rows of forward()
  virtual int64_t scratch_bytes(int32_t) const { return 0; }  // by rows
};

class Score {
 public:
  // unsupported: what a spec asks for and no op here does.
  static Result<Score> make(const DecoderSpec& spec, int32_t layer, LeafSource& source);

  Status forward(Frame& frame) const;
  // Plays again the rows of slots that are not `there`, of each the first so many; the last op, which writes
  // y, never.
  Status restore(Frame& frame, const std::array<int32_t, kSlots>& there) const;
  Status backward(Frame& frame, Sink& sink) const;

  int32_t width(Slot slot) const { return widths_[size_t(slot)]; }  // 0: there is no such slot
  // What can always be played again from x in one pass, and is cheap: norms, the heads' too, and the gate.
  bool derived(Slot slot) const;
  int64_t scratch_bytes(int32_t rows) const;
  // Values, and on the way back slopes, of one block.
  int64_t frame_bytes(int32_t rows, bool backward) const;
  Frame frame(Flow flow, int32_t rows, bool backward) const;  // takes them; x and y are the caller's

 private:
  std::vector<std::unique_ptr<Op>> ops_;
  std::array<int32_t, kSlots> widths_{};
  bool has_slope(Slot slot) const;
};

// Llama's shape and what differs from it by biases, norms over heads, windows, rotations and gates.
Status check_trainable(const DecoderSpec& spec);

}  // namespace varve

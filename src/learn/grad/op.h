// The ops of a score.
#pragma once

#include <optional>

#include "learn/grad/kv_gate.h"
#include "learn/grad/score.h"

namespace varve {

struct NormOp {
  Slot in, out;
  Vector weight;
  float epsilon;
};
struct LinearOp {
  Slot in, out;
  std::unique_ptr<Leaf> leaf;
  Vector bias;
  Slot residual = Slot::count;  // added to what it writes
  bool first_back = true;       // on the way back, the first to write the slope of `in`
};
struct HeadsOp {  // q0 to q, or q in place: norm over each head, then the rotation
  Slot in, out;
  int32_t heads = 0, dim = 0;
  Vector norm;
  float epsilon = 0;
  RopeSpec rope;
  bool local = false;
};
struct AttendOp {
  DocumentAttention spec;
  std::optional<KvGate> gate;  // of Slot::keep
};
struct GateOp {
  Activation kind;
};
struct ExpertsOp {  // a mixture: `used` of them for each row
  Slot in, out, residual;
  Activation kind;
  int32_t used = 0;
  std::unique_ptr<Leaf> router;
  Vector balance;  // of the choice alone; may be absent
  struct One {
    std::unique_ptr<Leaf> gate, up, down;
  };
  std::vector<One> experts;
};

std::unique_ptr<Op> make_op(NormOp op);
std::unique_ptr<Op> make_op(LinearOp op);
std::unique_ptr<Op> make_op(HeadsOp op);
std::unique_ptr<Op> make_op(AttendOp op);
std::unique_ptr<Op> make_op(GateOp op);
std::unique_ptr<Op> make_op(ExpertsOp op);

}  // namespace varve

#include "learn/grad/op.h"

namespace varve {
namespace {

class Norm : public Op {
 public:
  explicit Norm(NormOp op) : op_(std::move(op)) {}
  Status forward(Frame& f) const override {
    f.flow.train.ops().rms_norm(f[op_.in], op_.weight.matrix(), op_.epsilon, f[op_.out]);
    return {};
  }
  Status backward(Frame& f, Sink& sink) const override {
    const Part* part = op_.weight.part;
    std::vector<float> slope(part == nullptr ? 0 : size_t(part->size()));
    f.flow.train.rms_norm_back({.x = f[op_.in],
                                .d = f.d(op_.out),
                                .dx = f.d(op_.in),
                                .weight = op_.weight.matrix(),
                                .epsilon = op_.epsilon},
                               slope);
    return part == nullptr ? Status() : sink.take_vector(*part, slope);
  }
  std::vector<Slot> writes() const override { return {op_.out}; }

 private:
  NormOp op_;
};

class Linear : public Op {
 public:
  explicit Linear(LinearOp op) : op_(std::move(op)) {}
  Status forward(Frame& f) const override {
    const bool add = op_.residual != Slot::count;
    if (add) f.flow.train.ops().copy(f[op_.residual], f[op_.out]);
    TRY(op_.leaf->forward(f.flow, f[op_.in], f[op_.out], add));
    if (!op_.bias.empty()) f.flow.train.ops().add_bias(f[op_.out], op_.bias.matrix());
    return {};
  }
  // The slope of a residual is that of what it was added to: both are the stream's, one buffer.
  Status backward(Frame& f, Sink& sink) const override {
    const Rows d = f.d(op_.out);
    if (op_.bias.part != nullptr) {
      std::vector<float> slope(size_t(d.width()));
      f.flow.train.column_sums_add(d, slope);
      TRY(sink.take_vector(*op_.bias.part, slope));
    }
    return op_.leaf->backward(f.flow, f[op_.in], d, f.d(op_.in), !op_.first_back, sink);
  }
  std::vector<Slot> writes() const override { return {op_.out}; }
  int64_t scratch_bytes(int32_t rows) const override { return op_.leaf->scratch_bytes(rows); }

 private:
  LinearOp op_;
};

class Heads : public Op {
 public:
  explicit Heads(HeadsOp op) : op_(std::move(op)) {}
  Status forward(Frame& f) const override {
    Ops& ops = f.flow.train.ops();
    if (op_.in != op_.out) ops.rms_norm(f[op_.in], op_.norm.matrix(), op_.epsilon, f[op_.out], op_.dim);
    if (op_.rope.kind != RopeKind::none) ops.rotate(f[op_.out], op_.heads, op_.rope, angles(f), false);
    return {};
  }
  Status backward(Frame& f, Sink& sink) const override {
    Ops& ops = f.flow.train.ops();
    if (op_.rope.kind != RopeKind::none) ops.rotate(f.d(op_.out), op_.heads, op_.rope, angles(f), true);
    if (op_.in == op_.out) return {};
    ops.fill(f.d(op_.in), 0);
    const Part* part = op_.norm.part;
    std::vector<float> slope(part == nullptr ? 0 : size_t(part->size()));
    f.flow.train.rms_norm_back({.x = f[op_.in],
                                .d = f.d(op_.out),
                                .dx = f.d(op_.in),
                                .weight = op_.norm.matrix(),
                                .epsilon = op_.epsilon,
                                .group = op_.dim},
                               slope);
    return part == nullptr ? Status() : sink.take_vector(*part, slope);
  }
  std::vector<Slot> writes() const override { return {op_.out}; }

 private:
  Rows angles(Frame& f) const { return op_.local ? f.angles_local : f.angles; }
  HeadsOp op_;
};

class Attend : public Op {
 public:
  explicit Attend(AttendOp op) : op_(std::move(op)) {}
  Status forward(Frame& f) const override {
    const std::vector<float> logs = this->logs(f);
    f.flow.train.attend(spec(f, logs), f[Slot::q], f[Slot::k], f[Slot::v], f[Slot::o], f[Slot::sums]);
    return {};
  }
  Status backward(Frame& f, Sink&) const override {
    const std::vector<float> logs = this->logs(f);
    std::vector<float> slopes(logs.size());
    f.flow.train.attend_back(spec(f, logs), {f[Slot::q], f[Slot::k], f[Slot::v], f[Slot::o], f[Slot::sums],
                                             f.d(Slot::o), f.d(Slot::q), f.d(Slot::k), f.d(Slot::v), slopes});
    if (!op_.gate) return {};
    op_.gate->back(keeps(f), f.documents.positions, op_.spec.kv_heads, slopes);
    f.flow.train.ops().load(slopes, f.d(Slot::keep));
    return {};
  }
  std::vector<Slot> writes() const override { return {Slot::o, Slot::sums}; }
  bool row_by_row() const override { return false; }

 private:
  DocumentAttention spec(Frame& f, std::span<const float> logs) const {
    DocumentAttention spec = op_.spec;
    spec.starts = f.documents.starts;
    spec.logs = logs;
    if (op_.gate) spec.near = op_.gate->spec().near;
    return spec;
  }
  std::vector<float> keeps(Frame& f) const {
    std::vector<float> keeps(size_t(f[Slot::keep].count()) * size_t(f[Slot::keep].width()));
    f.flow.train.ops().store(f[Slot::keep], keeps);
    return keeps;
  }
  // Empty: nothing is gated, or it is left out.
  std::vector<float> logs(Frame& f) const {
    if (!op_.gate || f.flow.base) return {};
    return op_.gate->logs(keeps(f), f.documents.positions, op_.spec.kv_heads);
  }
  AttendOp op_;
};

// On the way back gate and up become their own slopes: a frame gives both names to the same rows.
class Gate : public Op {
 public:
  explicit Gate(GateOp op) : op_(op) {}
  Status forward(Frame& f) const override {
    f.flow.train.ops().activate_times(op_.kind, f[Slot::gate], f[Slot::up], f[Slot::act]);
    return {};
  }
  Status backward(Frame& f, Sink&) const override {
    f.flow.train.activate_times_back(op_.kind, f[Slot::gate], f[Slot::up], f.d(Slot::act));
    return {};
  }
  std::vector<Slot> writes() const override { return {Slot::act}; }

 private:
  GateOp op_;
};

}  // namespace

std::unique_ptr<Op> make_op(NormOp op) {
  return std::make_unique<Norm>(std::move(op));
}
std::unique_ptr<Op> make_op(LinearOp op) {
  return std::make_unique<Linear>(std::move(op));
}
std::unique_ptr<Op> make_op(HeadsOp op) {
  return std::make_unique<Heads>(std::move(op));
}
std::unique_ptr<Op> make_op(AttendOp op) {
  return std::make_unique<Attend>(std::move(op));
}
std::unique_ptr<Op> make_op(GateOp op) {
  return std::make_unique<Gate>(op);
}

}  // namespace varve

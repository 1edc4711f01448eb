// PEQA (Kim et al. 2023): the codes of a quantised weight stay, and the scale of each row learns. What is
// learnt is a factor a row.
#include <algorithm>
#include <cstring>

#include "learn/form/low_rank.h"

namespace varve::form {
namespace {

class PeqaLeaf : public Over {
 public:
  PeqaLeaf(std::unique_ptr<Leaf> base, Part& scale) : Over(std::move(base), {&scale}) {}
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    if (flow.base) return base_->forward(flow, x, y, add);
    const int64_t mark = flow.scratch.mark();
    const Rows plain = flow.scratch.take(x.count(), rows());
    TRY(base_->forward(flow, x, plain, false));
    flow.train.ops().scale_columns(plain, part(0).value);
    add ? flow.train.ops().add(plain, y) : flow.train.ops().copy(plain, y);
    flow.scratch.release(mark);
    return {};
  }
  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    Ops& ops = flow.train.ops();
    const int64_t mark = flow.scratch.mark();
    const Rows plain = flow.scratch.take(x.count(), rows());
    TRY(base_->forward(flow, x, plain, false));
    ops.times(d, plain);
    std::vector<float> slopes(static_cast<size_t>(rows()));
    flow.train.column_sums_add(plain, slopes);
    TRY(sink.take_vector(part(0), slopes));
    ops.copy(d, plain);
    ops.scale_columns(plain, part(0).value);
    TRY(base_->backward(flow, x, plain, dx, add, sink));
    flow.scratch.release(mark);
    return {};
  }
  int64_t scratch_bytes(int32_t count) const override {
    return base_->scratch_bytes(count) + Scratch::bytes_for(count, rows());
  }
};

struct Peqa : WeightForm {
  Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                     Parts& parts) const override {
    if (weight.codec->block_values() == 1 || weight.codec->coded()) {
      return Status(Code::unsupported, "peqa learns the scales of a quantised model, and this weight is " +
                                           std::string(weight.codec->name()));
    }
    Part& scale = parts.add(weight.role + ".scale", 1, weight.rows);
    return std::unique_ptr<Leaf>(new PeqaLeaf(std::move(base), scale));
  }
  Status begin(const Beginning& at) const override {
    for (const BaseWeight& weight : at.weights)
      std::ranges::fill(part_of(at.parts, weight, "scale").value, 1.f);
    return {};
  }
  Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger&,
                Learnt& out) const override {
    out.kind = "scales";
    for (const BaseWeight& weight : weights) {
      out.tensors.push_back({weight.role, "scale", 1, weight.rows, part_of(parts, weight, "scale").value});
    }
    return {};
  }
};

}  // namespace

Made peqa(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<WeightForm>(new Peqa);
}

}  // namespace varve::form

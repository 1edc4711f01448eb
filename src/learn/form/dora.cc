// DoRA (Liu et al. 2024): each row of w + scale * b a brought to a length that learns beside it. As
// published, the rows' own lengths count as constants on the way back.
#include <cmath>

#include "learn/form/lora.h"

namespace varve::form {
namespace {

class DoraLeaf : public Over {
 public:
  DoraLeaf(std::unique_ptr<Leaf> base, std::vector<Part*> parts, const Part& squares, float scale)
      : Over(std::move(base), std::move(parts)), squares_(squares), scale_(scale) {}

  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    if (flow.base) return base_->forward(flow, x, y, add);
    const int64_t mark = flow.scratch.mark();
    const Rows turned = flow.scratch.take(x.count(), rows());
    TRY(direction(flow, x, turned));
    flow.train.ops().scale_columns(turned, TRY(stretch(flow)).factors);
    add ? flow.train.ops().add(turned, y) : flow.train.ops().copy(turned, y);
    flow.scratch.release(mark);
    return {};
  }

  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    Ops& ops = flow.train.ops();
    const int64_t mark = flow.scratch.mark();
    const Stretch by = TRY(stretch(flow));
    const Rows turned = flow.scratch.take(x.count(), rows());
    TRY(direction(flow, x, turned));
    ops.times(d, turned);
    std::vector<float> slopes(static_cast<size_t>(rows()));
    flow.train.column_sums_add(turned, slopes);
    for (size_t i = 0; i < slopes.size(); ++i) slopes[i] *= by.inverse[i];
    TRY(sink.take_vector(part(2), slopes));
    ops.copy(d, turned);  // from here on its slopes
    ops.scale_columns(turned, by.factors);
    TRY(base_->backward(flow, x, turned, dx, add, sink));
    const Rows low = flow.scratch.take(x.count(), part(0).rows);
    flow.train.product(x, part(0).matrix(), low);
    ops.scale(low, scale_);
    TRY(sink.take(flow.train, part(1), 0, low, turned));
    flow.train.product_back(turned, part(1).matrix(), low);
    ops.scale(low, scale_);
    flow.train.product_back(low, part(0).matrix(), dx, true);
    TRY(sink.take(flow.train, part(0), 0, x, low));
    flow.scratch.release(mark);
    return {};
  }

  int64_t scratch_bytes(int32_t count) const override {
    const int32_t r = part(0).rows;
    const int64_t own = Scratch::bytes_for(count, rows()) + Scratch::bytes_for(count, r);
    const int64_t lengths = Scratch::bytes_for(r, cols()) + 2 * Scratch::bytes_for(r, rows()) +
                            2 * Scratch::bytes_for(r, r) + base_->scratch_bytes(r);
    return own + std::max(lengths, base_->scratch_bytes(count));
  }

 private:
  struct Stretch {
    std::vector<float> factors, inverse;  // of each row: magnitude over length, and one over length
  };

  Status direction(Flow& flow, Rows x, Rows y) const {
    TRY(base_->forward(flow, x, y, false));
    const int64_t mark = flow.scratch.mark();
    const Rows low = flow.scratch.take(x.count(), part(0).rows);
    flow.train.product(x, part(0).matrix(), low);
    flow.train.ops().scale(low, scale_);
    flow.train.product(low, part(1).matrix(), y, true);
    flow.scratch.release(mark);
    return {};
  }

  // |w_i + s b_i a|^2 = |w_i|^2 + b_i (2 s a w_i + s^2 a a^T b_i): rank rows pass the weight, and nothing of
  // its size is made.
  Result<Stretch> stretch(Flow& flow) const {
    Ops& ops = flow.train.ops();
    const int32_t r = part(0).rows;
    const int64_t mark = flow.scratch.mark();
    const Rows a = flow.scratch.take(r, cols()), through = flow.scratch.take(r, rows());
    const Rows one = flow.scratch.take(r, r), square = flow.scratch.take(r, r);
    const Rows b = flow.scratch.take(r, rows());
    ops.load(part(0).value, a);
    TRY(base_->forward(flow, a, through, false));
    ops.scale(through, 2 * scale_);
    flow.train.product(a, part(0).matrix(), square);
    ops.scale(square, scale_ * scale_);
    flow.train.product(square, part(1).matrix(), through, true);
    std::vector<float> identity(size_t(r) * size_t(r));
    for (size_t i = 0; i < size_t(r); ++i) identity[i * size_t(r) + i] = 1;
    ops.load(identity, one);
    flow.train.product(one, part(1).matrix(), b);
    ops.times(b, through);
    Stretch by{{}, std::vector<float>(squares_.value.begin(), squares_.value.end())};
    flow.train.column_sums_add(through, by.inverse);
    flow.scratch.release(mark);
    by.factors.resize(by.inverse.size());
    for (size_t i = 0; i < by.inverse.size(); ++i) {
      by.inverse[i] = 1 / std::sqrt(std::max(by.inverse[i], 1e-20f));
      by.factors[i] = part(2).value[i] * by.inverse[i];
    }
    return by;
  }

  const Part& squares_;
  float scale_;
};

struct Dora : Lora {
  Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                     Parts& parts) const override {
    const Pair pair = add_pair(weight, rank.rank, parts);
    Part& magnitude = parts.add(weight.role + ".lora_magnitude", 1, weight.rows);
    const Part& squares = parts.hold(weight.role + ".held_squares", 1, weight.rows);
    return std::unique_ptr<Leaf>(
        new DoraLeaf(std::move(base), std::vector<Part*>{pair.a, pair.b, &magnitude}, squares, rank.scale()));
  }
  Status begin(const Beginning& at) const override {
    TRY(Lora::begin(at));
    std::vector<float> row;
    for (const BaseWeight& weight : at.weights) {
      const WeightPin pin = TRY(at.store.pin(at.store.find(weight.role)));
      const Part& squares = part_of(at.parts, weight, "held_squares");
      const Part& magnitude = part_of(at.parts, weight, "lora_magnitude");
      row.resize(size_t(weight.cols));
      const auto bytes = size_t(weight.codec->bytes_for(weight.cols));
      for (size_t i = 0; i < size_t(weight.rows); ++i) {
        weight.codec->decode((*pin).bytes.subspan(i * bytes, bytes), row);
        double sum = 0;
        for (float value : row) sum += double(value) * double(value);
        squares.value[i] = float(sum);
        magnitude.value[i] = std::sqrt(squares.value[i]);
      }
    }
    return {};
  }
  Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger& ledger,
                Learnt& out) const override {
    TRY(Lora::finish(weights, parts, ledger, out));
    out.kind = "dora";
    for (const BaseWeight& weight : weights) {
      const Part& magnitude = part_of(parts, weight, "lora_magnitude");
      out.tensors.push_back({weight.role, "lora_magnitude", 1, weight.rows, magnitude.value});
    }
    return {};
  }
};

}  // namespace

Made dora(const Spec& spec) {
  auto made = std::make_unique<Dora>();
  TRY(made->rank.read(spec));
  return std::unique_ptr<WeightForm>(std::move(made));
}

}  // namespace varve::form

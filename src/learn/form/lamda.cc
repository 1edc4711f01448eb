// LaMDA (Azizi et al. 2024): b s a, where a holds the leading input directions of the weight and never
// learns, s is a small square that does, and b, which begins as the leading output directions, learns at
// first and is frozen direction by direction, the weakest first, until step `freeze`.
#include <cmath>

#include "core/base/rng.h"
#include "learn/form/low_rank.h"

namespace varve::form {
namespace {

class LamdaLeaf : public Over {  // parts: s [r][r], b turned [r][rows]
 public:
  LamdaLeaf(std::unique_ptr<Leaf> base, std::vector<Part*> parts, const Part& a, float scale)
      : Over(std::move(base), std::move(parts)), a_(a), scale_(scale) {}
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    TRY(base_->forward(flow, x, y, add));
    if (flow.base) return {};
    const int64_t mark = flow.scratch.mark();
    const Low low = through(flow, x);
    flow.train.product_back(low.after, part(1).matrix(), y, true);
    flow.scratch.release(mark);
    return {};
  }
  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    TRY(base_->backward(flow, x, d, dx, add, sink));
    const int64_t mark = flow.scratch.mark();
    const Low low = through(flow, x);
    TRY(sink.take(flow.train, part(1), 0, d, low.after));
    flow.train.product(d, part(1).matrix(), low.after);
    flow.train.ops().scale(low.after, scale_);
    TRY(sink.take(flow.train, part(0), 0, low.before, low.after));
    flow.train.product_back(low.after, part(0).matrix(), low.before);
    flow.train.product_back(low.before, a_.matrix(), dx, true);
    flow.scratch.release(mark);
    return {};
  }
  int64_t scratch_bytes(int32_t rows) const override {
    return base_->scratch_bytes(rows) + 2 * Scratch::bytes_for(rows, a_.rows);
  }

 private:
  struct Low {
    Rows before, after;  // the square
  };
  Low through(Flow& flow, Rows x) const {
    const Low low{flow.scratch.take(x.count(), a_.rows), flow.scratch.take(x.count(), a_.rows)};
    flow.train.product(x, a_.matrix(), low.before);
    flow.train.product(low.before, part(0).matrix(), low.after);
    flow.train.ops().scale(low.after, scale_);
    return low;
  }
  const Part& a_;
  float scale_;
};

struct Lamda : WeightForm {
  Rank rank;
  int32_t freeze = 100;

  Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                     Parts& parts) const override {
    if (rank.rank > std::min(weight.rows, weight.cols)) {
      return Status(Code::invalid, "it has fewer directions than the rank of " + std::to_string(rank.rank));
    }
    Part& square = parts.add(weight.role + ".square", rank.rank, rank.rank);
    Part& b = parts.add(weight.role + ".output", rank.rank, weight.rows);
    b.settles = freeze;
    Part& a = parts.hold(weight.role + ".held_a", rank.rank, weight.cols);
    return std::unique_ptr<Leaf>(
        new LamdaLeaf(std::move(base), std::vector<Part*>{&square, &b}, a, rank.scale()));
  }

  // The leading directions, by powers of the weight.
  Status begin(const Beginning& at) const override {
    for (const BaseWeight& weight : at.weights) {
      std::ranges::fill(part_of(at.parts, weight, "square").value, 0.f);
      Part &a = part_of(at.parts, weight, "held_a"), &b = part_of(at.parts, weight, "output");
      for (size_t i = 0; i < a.value.size(); ++i) {
        a.value[i] = float(random_normal({at.seed, uint64_t(b.index), Site::init}, i));
      }
      Scratch scratch = TRY(Scratch::make(at.ledger, Scratch::bytes_for(rank.rank, weight.cols) +
                                                         Scratch::bytes_for(rank.rank, weight.rows)));
      const Rows in = scratch.take(rank.rank, weight.cols), out = scratch.take(rank.rank, weight.rows);
      const WeightPin pin = TRY(at.store.pin(at.store.find(weight.role)));
      for (int power = 0; power < 4; ++power) {
        orthonormalize(a.value, size_t(a.cols));
        at.train.ops().load(a.value, in);
        at.train.product(in, *pin, out);
        at.train.ops().store(out, b.value);
        orthonormalize(b.value, size_t(b.cols));
        if (power == 3) break;
        at.train.ops().load(b.value, out);
        at.train.product_back(out, *pin, in);
        at.train.ops().store(in, a.value);
      }
    }
    return {};
  }

  Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger& ledger,
                Learnt& out) const override {
    out.alpha = rank.scale() * float(rank.rank);
    const auto r = size_t(rank.rank);
    for (const BaseWeight& weight : weights) {
      const Part &a = part_of(parts, weight, "held_a"), &turned = part_of(parts, weight, "output");
      const Part& square = part_of(parts, weight, "square");
      const std::span<float> b = TRY(out.room(ledger, turned.value.size()));
      const auto n = size_t(weight.rows);
      for (size_t i = 0; i < n; ++i) {
        for (size_t k = 0; k < r; ++k) {
          float sum = 0;
          for (size_t j = 0; j < r; ++j) sum += turned.value[j * n + i] * square.value[j * r + k];
          b[i * r + k] = sum;
        }
      }
      out.tensors.push_back({weight.role, "lora_a", a.rows, a.cols, a.value});
      out.tensors.push_back({weight.role, "lora_b", weight.rows, rank.rank, b});
    }
    return {};
  }
};

}  // namespace

Made lamda(const Spec& spec) {
  auto made = std::make_unique<Lamda>();
  OptionReader reader(spec);
  reader.read("rank", made->rank.rank, 1, 4096).read("alpha", made->rank.alpha, 1e-6f, 1e6f);
  TRY(reader.read("freeze", made->freeze, 1, 1 << 30).done());
  if (made->rank.alpha == 0) made->rank.alpha = float(2 * made->rank.rank);
  return std::unique_ptr<WeightForm>(std::move(made));
}

}  // namespace varve::form

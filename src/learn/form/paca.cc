// PaCA (Woo et al. 2025): some columns of each weight learn, drawn once; on the way back only those columns
// of what the weight read are looked at, and no second product is made. What is learnt is a low-rank sum: its
// first factor picks the columns.
#include <algorithm>
#include <numeric>

#include "core/base/rng.h"
#include "learn/form/low_rank.h"

namespace varve::form {
namespace {

class PacaLeaf : public Over {
 public:
  PacaLeaf(std::unique_ptr<Leaf> base, Part& part, std::vector<int32_t> columns)
      : Over(std::move(base), {&part}), columns_(std::move(columns)) {}
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    TRY(base_->forward(flow, x, y, add));
    if (flow.base) return {};
    const int64_t mark = flow.scratch.mark();
    flow.train.product(picked(flow, x), part(0).matrix(), y, true);
    flow.scratch.release(mark);
    return {};
  }
  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    TRY(base_->backward(flow, x, d, dx, add, sink));
    const int64_t mark = flow.scratch.mark();
    const Rows some = picked(flow, x);
    TRY(sink.take(flow.train, part(0), 0, some, d));
    flow.train.product_back(d, part(0).matrix(), some);
    flow.train.ops().add_to_columns(some, columns_, dx);
    flow.scratch.release(mark);
    return {};
  }
  int64_t scratch_bytes(int32_t rows) const override {
    return base_->scratch_bytes(rows) + Scratch::bytes_for(rows, part(0).cols);
  }

 private:
  Rows picked(Flow& flow, Rows x) const {
    const Rows some = flow.scratch.take(x.count(), part(0).cols);
    flow.train.ops().gather_columns(x, columns_, some);
    return some;
  }
  std::vector<int32_t> columns_;
};

struct Paca : WeightForm {
  int32_t rank = 16;
  uint64_t seed = 1;

  std::vector<int32_t> columns(const BaseWeight& weight, size_t index) const {  // of its part
    std::vector<int32_t> all(size_t(weight.cols));
    std::iota(all.begin(), all.end(), 0);
    const RngKey key{seed, index, Site::init};
    const auto count = size_t(std::min(rank, weight.cols));
    for (size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random_bits(key, i) % (all.size() - i)]);
    all.resize(count);
    std::sort(all.begin(), all.end());
    return all;
  }
  Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                     Parts& parts) const override {
    std::vector<int32_t> some = columns(weight, parts.size());
    Part& part = parts.add(weight.role + ".columns", weight.rows, int32_t(some.size()));
    return std::unique_ptr<Leaf>(new PacaLeaf(std::move(base), part, std::move(some)));
  }
  Status begin(const Beginning& at) const override {
    for (const BaseWeight& weight : at.weights)
      std::ranges::fill(part_of(at.parts, weight, "columns").value, 0.f);
    return {};
  }
  Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger& ledger,
                Learnt& out) const override {
    for (const BaseWeight& weight : weights) {
      const Part& part = part_of(parts, weight, "columns");
      const std::vector<int32_t> some = columns(weight, size_t(part.index));
      const std::span<float> a = TRY(out.room(ledger, some.size() * size_t(weight.cols)));
      const std::span<float> b = TRY(out.room(ledger, part.value.size()));
      std::ranges::fill(a, 0.f);
      // An adapter adds alpha / rank times the product; a narrow weight has fewer columns than the rank.
      for (size_t k = 0; k < some.size(); ++k) {
        a[k * size_t(weight.cols) + size_t(some[k])] = float(some.size()) / float(rank);
      }
      std::ranges::copy(part.value, b.begin());
      out.tensors.push_back({weight.role, "lora_a", int32_t(some.size()), weight.cols, a});
      out.tensors.push_back({weight.role, "lora_b", weight.rows, int32_t(some.size()), b});
    }
    out.alpha = float(rank);
    return {};
  }
};

}  // namespace

Made paca(const Spec& spec) {
  auto made = std::make_unique<Paca>();
  TRY(OptionReader(spec)
          .read("rank", made->rank, 1, 65536)
          .read("seed", made->seed, uint64_t(0), UINT64_MAX)
          .done());
  return std::unique_ptr<WeightForm>(std::move(made));
}

}  // namespace varve::form

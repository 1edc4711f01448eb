// KaSA (Wang et al. 2024): the `rank` weakest directions of each weight are taken away, and a low-rank sum
// with a learnt strength for each direction comes instead. Strengths are kept small and the factors near
// orthonormal by a loss of their own.
#include <cmath>

#include "core/base/rng.h"
#include "learn/form/eigen.h"
#include "learn/form/lora.h"
#include "math/kernel/kernel.h"

namespace varve::form {
namespace {

class KasaLeaf : public Over {
 public:
  KasaLeaf(std::unique_ptr<Leaf> base, std::vector<Part*> parts, float scale)
      : Over(std::move(base), std::move(parts)), scale_(scale) {}
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    TRY(base_->forward(flow, x, y, add));
    if (flow.base) return {};
    const int64_t mark = flow.scratch.mark();
    const Rows low = through(flow, x);
    weigh(flow, low);
    flow.train.product(low, part(1).matrix(), y, true);
    flow.scratch.release(mark);
    return {};
  }
  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    TRY(base_->backward(flow, x, d, dx, add, sink));
    const int64_t mark = flow.scratch.mark();
    const Rows low = through(flow, x), back = flow.scratch.take(x.count(), part(0).rows);
    flow.train.product_back(d, part(1).matrix(), back);
    flow.train.ops().scale(back, scale_);
    std::vector<float> slopes(size_t(part(0).rows));
    const Rows both = flow.scratch.take(x.count(), part(0).rows);
    flow.train.ops().copy(low, both);
    flow.train.ops().times(back, both);
    flow.train.column_sums_add(both, slopes);
    TRY(sink.take_vector(part(2), slopes));
    weigh(flow, low);
    TRY(sink.take(flow.train, part(1), 0, low, d));
    flow.train.ops().scale_columns(back, part(2).value);
    flow.train.product_back(back, part(0).matrix(), dx, true);
    TRY(sink.take(flow.train, part(0), 0, x, back));
    flow.scratch.release(mark);
    return {};
  }
  int64_t scratch_bytes(int32_t rows) const override {
    return base_->scratch_bytes(rows) + 3 * Scratch::bytes_for(rows, part(0).rows);
  }

 private:
  Rows through(Flow& flow, Rows x) const {
    const Rows low = flow.scratch.take(x.count(), part(0).rows);
    flow.train.product(x, part(0).matrix(), low);
    return low;
  }
  void weigh(Flow& flow, Rows low) const {
    flow.train.ops().scale_columns(low, part(2).value);
    flow.train.ops().scale(low, scale_);
  }
  float scale_;
};

// slopes += by times the slope of |f f^T - 1|, of the rows of f [r][n].
void lean_to_orthonormal(std::span<const float> f, size_t r, float by, std::span<float> slopes) {
  const size_t n = f.size() / r;
  std::vector<float> off(r * r);
  double sum = 0;
  for (size_t i = 0; i < r; ++i) {
    for (size_t j = 0; j < r; ++j) {
      off[i * r + j] = kernels().dot(f.data() + i * n, f.data() + j * n, nullptr, n) - (i == j ? 1.f : 0.f);
      sum += double(off[i * r + j]) * double(off[i * r + j]);
    }
  }
  if (sum < 1e-20) return;
  const float factor = by * float(2 / std::sqrt(sum));
  for (float& value : off) value *= factor;
  for (size_t i = 0; i < r; ++i) {
    kernels().mix(off.data() + i * r, 1, f.data(), n, n, slopes.data() + i * n);
  }
}

struct Kasa : Lora {
  float beta = 1e-4f, gamma = 1e-3f;

  Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                     Parts& parts) const override {
    if (rank.rank >= std::min(weight.rows, weight.cols)) {
      return Status(Code::invalid, "it has no more directions than the rank of " + std::to_string(rank.rank));
    }
    const Pair pair = add_pair(weight, rank.rank, parts), weak = hold_pair(weight, rank.rank, parts);
    Part& strength = parts.add(weight.role + ".strength", 1, rank.rank);
    return std::unique_ptr<Leaf>(new KasaLeaf(held_product(std::move(base), *weak.a, *weak.b, -1),
                                              std::vector<Part*>{pair.a, pair.b, &strength}, rank.scale()));
  }

  Status begin(const Beginning& at) const override {
    TRY(Lora::begin(at));
    for (const BaseWeight& weight : at.weights) {
      Part& strength = part_of(at.parts, weight, "strength");
      for (size_t i = 0; i < strength.value.size(); ++i) {
        strength.value[i] = float(random_normal({at.seed, uint64_t(strength.index), Site::init}, i));
      }
      TRY(find_weak(weight, at));
    }
    return {};
  }

  Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger& ledger,
                Learnt& out) const override {
    out.alpha = rank.scale() * float(2 * rank.rank);
    for (const BaseWeight& weight : weights) {
      TRY(add_both(weight, parts, part_of(parts, weight, "strength").value, -1 / rank.scale(), ledger, out));
    }
    return {};
  }

  bool regularises() const override { return beta > 0 || gamma > 0; }
  void regularise(std::span<const BaseWeight> weights, const Parts& parts,
                  const Gradient& gradient) const override {
    for (const BaseWeight& weight : weights) {
      const Part &a = part_of(parts, weight, "lora_a"), &b = part_of(parts, weight, "lora_b");
      const Part& strength = part_of(parts, weight, "strength");
      const auto slopes = gradient(strength);
      if (slopes.empty()) continue;
      for (size_t i = 0; i < slopes.size(); ++i) slopes[i] += 2 * beta * strength.value[i];
      const auto r = size_t(a.rows), n = size_t(b.rows);
      lean_to_orthonormal(a.value, r, gamma, gradient(a));
      std::vector<float> turned(b.value.size()), turned_slopes(b.value.size());
      for (size_t i = 0; i < n; ++i) {
        for (size_t k = 0; k < r; ++k) turned[k * n + i] = b.value[i * r + k];
      }
      lean_to_orthonormal(turned, r, gamma, turned_slopes);
      const auto b_slopes = gradient(b);
      for (size_t i = 0; i < n; ++i) {
        for (size_t k = 0; k < r; ++k) b_slopes[i * r + k] += turned_slopes[k * n + i];
      }
    }
  }

 private:
  // The weakest directions are eigenvectors of the smaller of w^T w and w w^T.
  Status find_weak(const BaseWeight& weight, const Beginning& at) const {
    const Part &a = part_of(at.parts, weight, "held_a"), &b = part_of(at.parts, weight, "held_b");
    const auto rows = size_t(weight.rows), cols = size_t(weight.cols), r = size_t(rank.rank);
    const size_t n = std::min(rows, cols);
    Buffer room = TRY(Buffer::make(at.ledger, Tag::scratch, int64_t(rows * cols * 4 + n * n * 8))
                          .with("finding directions"));
    double* square = reinterpret_cast<double*>(room.bytes().data());
    float* w = reinterpret_cast<float*>(square + n * n);
    const WeightPin pin = TRY(at.store.pin(at.store.find(weight.role)));
    weight.codec->decode((*pin).bytes, {w, rows * cols});
    std::fill_n(square, n * n, 0.0);
    for (size_t i = 0; i < rows; ++i) {
      const float* row = w + i * cols;
      for (size_t j = 0; j < n; ++j) {
        const double one = cols <= rows ? double(row[j]) : 1;
        const float* other = cols <= rows ? row : w + j * cols;
        if (cols <= rows) {
          for (size_t k = 0; k < n; ++k) square[j * n + k] += one * double(other[k]);
        } else {
          for (size_t k = 0; k < cols; ++k) square[i * n + j] += double(row[k]) * double(other[k]);
        }
      }
    }
    std::vector<double> values(n);
    eigen({square, n * n}, values);
    for (size_t k = 0; k < r; ++k) {
      const double* direction = square + (n - 1 - k) * n;
      for (size_t i = 0; i < rows; ++i) {
        const float* row = w + i * cols;
        double along = cols <= rows ? 0 : direction[i];
        for (size_t j = 0; cols <= rows && j < cols; ++j) along += direction[j] * double(row[j]);
        b.value[i * r + k] = float(along);
      }
      for (size_t j = 0; j < cols; ++j) {
        double along = cols <= rows ? direction[j] : 0;
        for (size_t i = 0; cols > rows && i < rows; ++i) along += direction[i] * double(w[i * cols + j]);
        a.value[k * cols + j] = float(along);
      }
    }
    return {};
  }
};

}  // namespace

Made kasa(const Spec& spec) {
  auto made = std::make_unique<Kasa>();
  OptionReader reader(spec);
  reader.read("rank", made->rank.rank, 1, 4096).read("alpha", made->rank.alpha, 1e-6f, 1e6f);
  TRY(reader.read("beta", made->beta, 0.f, 1.f).read("gamma", made->gamma, 0.f, 1.f).done());
  if (made->rank.alpha == 0) made->rank.alpha = float(2 * made->rank.rank);
  return std::unique_ptr<WeightForm>(std::move(made));
}

}  // namespace varve::form

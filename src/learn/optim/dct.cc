// Directions without a singular value decomposition (Modoranu et al. 2025, DCT-AdamW): they are chosen from
// the fixed orthonormal basis of the discrete cosine transform, those along which the gradient is largest.
// State: their numbers and the moments; a direction that stays keeps its moments, a new one begins with
// nothing, which is what rotating them would give.
#include <algorithm>
#include <numbers>
#include <numeric>
#include <vector>

#include "learn/optim/galore.h"

namespace varve::optim {
namespace {

// Row k of the transform of n values.
class Cosines {
 public:
  explicit Cosines(size_t n) : n_(n), table_(4 * n) {
    for (size_t i = 0; i < 4 * n; ++i)
      table_[i] = std::sqrt(2 / double(n)) * std::cos(std::numbers::pi * double(i) / double(2 * n));
  }
  void row(size_t k, float* out) const {
    for (size_t j = 0; j < n_; ++j)
      out[j] = float(k == 0 ? std::sqrt(1 / double(n_)) : table_[(2 * j + 1) * k % (4 * n_)]);
  }

 private:
  size_t n_;
  std::vector<double> table_;
};

struct Dct : LowMoments {
  size_t head() const { return size_t(rank + 15) / 16 * 64; }
  int64_t state_bytes(ParamShape shape) const override {
    return projected(shape) ? int64_t(head()) + moment_bytes(low_values(shape)) : moment_bytes(shape.size());
  }
  int64_t work_bytes(ParamShape shape) const override {
    return projected(shape) ? LowMoments::work_bytes(shape) + rank * width(shape) * 4 : 0;
  }

  // The `rank` numbers, ascending, of the directions along which the gradient is largest.
  std::vector<int32_t> largest(ParamShape shape, const float* g, float* row, float* along) const {
    const Projection one{Sides(shape), 1};
    const Cosines cosines(one.sides.width());
    std::vector<std::pair<double, int32_t>> sizes;
    for (size_t k = 0; k < one.sides.width(); ++k) {
      cosines.row(k, row);
      std::fill_n(along, one.sides.length(), 0.f);
      one.down(g, row, along);
      sizes.emplace_back(-kernels().squares(along, 0, one.sides.length()), int32_t(k));
    }
    std::nth_element(sizes.begin(), sizes.begin() + rank - 1, sizes.end());
    std::vector<int32_t> all;
    for (int32_t i = 0; i < rank; ++i) all.push_back(sizes[size_t(i)].second);
    std::sort(all.begin(), all.end());
    return all;
  }

  void carry(std::span<const int32_t> was, std::span<const int32_t> is, size_t length, float* m,
             float* room) const {
    for (float* moment : {m, m + is.size() * length}) {
      for (size_t i = 0; i < is.size(); ++i) {
        const auto found = std::lower_bound(was.begin(), was.end(), is[i]);
        if (found == was.end() || *found != is[i]) {
          std::fill_n(room + i * length, length, 0.f);
        } else {
          std::copy_n(moment + size_t(found - was.begin()) * length, length, room + i * length);
        }
      }
      std::copy_n(room, is.size() * length, moment);
    }
  }

  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    AdamStep by = moments.at(at);
    if (!projected(shape)) return adam(by, gradient, param, state);
    const Projection way = projection(shape);
    const auto n = size_t(low_values(shape));
    const std::span<int32_t> chosen(reinterpret_cast<int32_t*>(state.data()), size_t(rank));
    const std::span<float> low = at.work.first(n), move = at.work.subspan(n, n);
    float *directions = at.work.data() + 2 * n, *m = floats(state.subspan(head())).data();
    if (due(at)) {
      const auto now = largest(shape, gradient.data(), directions, low.data());
      if (at.step > 1) carry(chosen, now, way.sides.length(), m, low.data());
      std::copy(now.begin(), now.end(), chosen.begin());
    }
    const Cosines cosines(way.sides.width());
    for (size_t k = 0; k < chosen.size(); ++k)
      cosines.row(size_t(chosen[k]), directions + k * way.sides.width());
    std::fill_n(at.work.begin(), 2 * n, 0.f);
    way.down(gradient.data(), directions, low.data());
    decay_first(by, param);
    kernels().adam(by, low.data(), n, move.data(), m, m + n);
    way.up(directions, move.data(), scale, param.data());
  }
};

}  // namespace

Made dct(const Spec& spec) {
  auto rule = std::make_unique<Dct>();
  rule->gap = 20, rule->scale = 1;
  OptionReader reader(spec);
  TRY(rule->read(reader));
  if (rule->bits != 32) return Status(Code::invalid, "dct keeps its moments in f32");
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim

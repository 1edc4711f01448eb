// GaLore (Zhao et al. 2024): Adam sees only the gradient's leading directions, on the shorter side of the
// matrix; every `gap` steps they are found anew, by power iteration, staggered over the matrices. State: the
// directions and the moments of r values for each row of the longer side, in f32 or 8 bits (`bits`). Moments
// are kept across a change of directions. Vectors and matrices narrower than the rank get plain Adam.
#include <algorithm>
#include <vector>

#include "learn/optim/adam8.h"

namespace varve::optim {
namespace {

// `count` rows made orthonormal, one after the other; a row that vanishes becomes zero.
void orthonormalize(float* rows, size_t count, size_t width) {
  for (size_t i = 0; i < count; ++i) {
    float* row = rows + i * width;
    for (int twice = 0; twice < 2; ++twice) {
      for (size_t j = 0; j < i; ++j) {
        const float along = -kernels().dot(row, rows + j * width, nullptr, width);
        kernels().mix(&along, 1, rows + j * width, 0, width, row);
      }
    }
    const double size = kernels().squares(row, 0, width);
    kernels().scale(row, size > 1e-30 ? float(1 / std::sqrt(size)) : 0, width);
  }
}

struct Galore : Optimizer {
  Moments moments;
  int32_t rank = 128, gap = 200, bits = 32;
  float scale = 0.25f;

  bool element_by_element() const override { return false; }
  bool projected(ParamShape shape) const { return std::min(shape.rows, shape.cols) > rank; }
  // The directions are rows of `width`; what is stepped is rank x length.
  static int64_t width(ParamShape shape) { return std::min(shape.rows, shape.cols); }
  static int64_t length(ParamShape shape) { return std::max(shape.rows, shape.cols); }
  int64_t moment_bytes(int64_t values) const { return bits == 8 ? adam8_bytes(values) : values * 8; }
  int64_t state_bytes(ParamShape shape) const override {
    return projected(shape) ? rank * width(shape) * 4 + moment_bytes(rank * length(shape))
                            : moment_bytes(shape.size());
  }

  void adam(const AdamStep& by, std::span<const float> gradient, std::span<float> param,
            std::span<std::byte> state) const {
    if (bits == 8) return adam8_step(by, gradient, param, state);
    float* m = floats(state).data();
    kernels().adam(by, gradient.data(), param.size(), param.data(), m, m + param.size());
  }

  // low [rank][length] = directions times the gradient, whichever side is short.
  void down(ParamShape shape, const float* g, const float* directions, float* low) const {
    const auto rows = size_t(shape.rows), cols = size_t(shape.cols);
    if (shape.rows <= shape.cols) {
      for (size_t k = 0; k < size_t(rank); ++k)
        kernels().mix(directions + k * rows, rows, g, cols, cols, low + k * cols);
      return;
    }
    for (size_t k = 0; k < size_t(rank); ++k) {
      for (size_t i = 0; i < rows; ++i)
        low[k * rows + i] = kernels().dot(directions + k * cols, g + i * cols, nullptr, cols);
    }
  }
  // directions [rank][width] = low times the gradient, the other way.
  void across(ParamShape shape, const float* g, const float* low, float* directions) const {
    const auto rows = size_t(shape.rows), cols = size_t(shape.cols);
    if (shape.rows > shape.cols) {
      for (size_t k = 0; k < size_t(rank); ++k)
        kernels().mix(low + k * rows, rows, g, cols, cols, directions + k * cols);
      return;
    }
    for (size_t k = 0; k < size_t(rank); ++k) {
      for (size_t i = 0; i < rows; ++i)
        directions[k * rows + i] = kernels().dot(low + k * cols, g + i * cols, nullptr, cols);
    }
  }

  void refresh(ParamShape shape, const float* g, float* directions, float* low, const StepAt& at) const {
    const auto n = size_t(rank) * size_t(width(shape));
    if (at.step == 1) {
      const RngKey key{at.seed + at.place, 0, Site::init};
      for (size_t i = 0; i < n; ++i) directions[i] = float(random_normal(key, i));
      orthonormalize(directions, size_t(rank), size_t(width(shape)));
    }
    for (int power = 0; power < 2; ++power) {
      down(shape, g, directions, low);
      std::fill_n(directions, n, 0.f);
      across(shape, g, low, directions);
      orthonormalize(directions, size_t(rank), size_t(width(shape)));
      std::fill_n(low, size_t(rank) * size_t(length(shape)), 0.f);
    }
  }

  void apply(ParamShape shape, const float* directions, const float* move, float* w) const {
    const auto rows = size_t(shape.rows), cols = size_t(shape.cols), r = size_t(rank);
    std::vector<float> factors(r);
    for (size_t i = 0; i < rows; ++i) {
      const bool wide = shape.rows <= shape.cols;
      for (size_t k = 0; k < r; ++k) factors[k] = scale * (wide ? directions : move)[k * rows + i];
      kernels().mix(factors.data(), r, wide ? move : directions, cols, cols, w + i * cols);
    }
  }

  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    AdamStep by = moments.at(at);
    if (!projected(shape)) return adam(by, gradient, param, state);
    const int64_t held = rank * width(shape) * 4;
    float* directions = floats(state.first(size_t(held))).data();
    std::vector<float> low(size_t(rank) * size_t(length(shape))), move(low.size());
    if (at.step == 1 || (at.step + int64_t(at.place)) % gap == 0) {
      refresh(shape, gradient.data(), directions, low.data(), at);
    }
    down(shape, gradient.data(), directions, low.data());
    kernels().scale(param.data(), 1 - by.decay, param.size());
    by.decay = 0;
    adam(by, low, move, state.subspan(size_t(held)));
    apply(shape, directions, move.data(), param.data());
  }
};

}  // namespace

Made galore(const Spec& spec) {
  auto rule = std::make_unique<Galore>();
  OptionReader reader(spec);
  TRY(rule->moments.read(reader)
          .read("rank", rule->rank, 1, 65536)
          .read("gap", rule->gap, 1, 1 << 30)
          .read("bits", rule->bits, 8, 32)
          .read("scale", rule->scale, 1e-6f, 1e3f)
          .done());
  if (rule->bits != 8 && rule->bits != 32) return Status(Code::invalid, "bits is 8 or 32");
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim

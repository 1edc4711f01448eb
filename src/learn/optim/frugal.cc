// FRUGAL (Zmushko et al. 2024): a part of each gradient is stepped by Adam, the rest by its sign, without a
// state. The part is a random `density` of the columns, others after every `gap` steps, or with leading=1
// what lies in as many leading directions as GaLore has; a new part begins with moments of nothing.
#include <algorithm>
#include <numeric>
#include <vector>

#include "learn/optim/galore.h"

namespace varve::optim {
namespace {

struct Frugal : LowMoments {
  float density = 0.25f, rest = 1;  // rest: its rate, as a part of the rate
  int32_t leading = 0;

  bool columns(ParamShape shape) const { return leading == 0 && shape.rows > 1; }
  bool led(ParamShape shape) const { return leading != 0 && shape.rows > 1 && projected(shape); }
  int64_t picked(ParamShape shape) const {
    return std::max<int64_t>(1, int64_t(std::lround(double(density) * shape.cols)));
  }
  int64_t low(ParamShape shape) const {
    return columns(shape) ? picked(shape) * shape.rows : low_values(shape);
  }
  int64_t state_bytes(ParamShape shape) const override {
    if (!columns(shape) && !led(shape)) return shape.size() * 8;
    return 8 * low(shape) + (led(shape) ? rank * width(shape) * 4 : 0);
  }
  int64_t work_bytes(ParamShape shape) const override {
    return columns(shape) || led(shape) ? 8 * low(shape) : 0;
  }

  // The columns of a term, ascending; a function of its number.
  std::vector<size_t> columns_of(ParamShape shape, int64_t term, const StepAt& at) const {
    std::vector<std::pair<uint32_t, size_t>> drawn(size_t(shape.cols));
    for (size_t i = 0; i < drawn.size(); ++i)
      drawn[i] = {random_bits({at.seed + at.place, uint64_t(term), Site::perturbation}, i), i};
    const auto end = drawn.begin() + picked(shape);
    std::nth_element(drawn.begin(), end - 1, drawn.end());
    std::vector<size_t> all;
    std::transform(drawn.begin(), end, std::back_inserter(all), [](const auto& one) { return one.second; });
    std::sort(all.begin(), all.end());
    return all;
  }

  static float sign(float x) { return float(x > 0) - float(x < 0); }

  void step_columns(ParamShape shape, const AdamStep& by, std::span<float> param,
                    std::span<const float> gradient, float* m, const StepAt& at) const {
    const std::vector<size_t> own = columns_of(shape, (at.step - 1) / gap, at);
    const auto k = own.size(), rows = size_t(shape.rows), cols = size_t(shape.cols), n = k * rows;
    const std::span<float> low = at.work.first(n), move = at.work.subspan(n, n);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < k; ++j) low[i * k + j] = gradient[i * cols + own[j]];
    }
    std::fill(move.begin(), move.end(), 0.f);
    kernels().adam(by, low.data(), n, move.data(), m, m + n);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t c = 0, j = 0; c < cols; ++c) {
        const bool mine = j < k && own[j] == c;
        param[i * cols + c] += mine ? move[i * k + j] : -by.rate * rest * sign(gradient[i * cols + c]);
        j += mine;
      }
    }
  }

  void step_led(ParamShape shape, const AdamStep& by, std::span<float> param, std::span<const float> gradient,
                std::span<float> state, const StepAt& at) const {
    const Projection way = projection(shape);
    const size_t n = size_t(low(shape)), rows = size_t(shape.rows), cols = size_t(shape.cols);
    float *m = state.data(), *directions = m + 2 * n;
    const std::span<float> low = at.work.first(n), move = at.work.subspan(n, n);
    if (at.step == 1) way.draw({at.seed + at.place, 0, Site::init}, directions);
    if ((at.step - 1) % gap == 0) way.turn(gradient.data(), directions, low.data());
    std::fill_n(at.work.begin(), 2 * n, 0.f);
    way.down(gradient.data(), directions, low.data());
    kernels().adam(by, low.data(), n, move.data(), m, m + n);
    std::vector<float> left(cols);
    for (size_t i = 0; i < rows; ++i) {
      std::copy_n(gradient.begin() + int64_t(i * cols), cols, left.begin());
      way.up_row(directions, low.data(), -1, i, left.data());
      for (size_t c = 0; c < cols; ++c) param[i * cols + c] -= by.rate * rest * sign(left[c]);
    }
    way.up(directions, move.data(), 1, param.data());
  }

  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    if (!columns(shape) && !led(shape)) return adam(moments.at(at), gradient, param, state);
    StepAt in_term = at;
    in_term.step = (at.step - 1) % gap + 1;
    AdamStep by = moments.at(in_term);
    const std::span<float> all = floats(state);
    if (in_term.step == 1) std::fill_n(all.begin(), 2 * low(shape), 0.f);
    decay_first(by, param);
    if (columns(shape)) return step_columns(shape, by, param, gradient, all.data(), at);
    step_led(shape, by, param, gradient, all, at);
  }
};

}  // namespace

Made frugal(const Spec& spec) {
  auto rule = std::make_unique<Frugal>();
  OptionReader reader(spec);
  reader.read("density", rule->density, 0.f, 1.f)
      .read("rest", rule->rest, 0.f, 1e3f)
      .read("leading", rule->leading, 0, 1);
  TRY(rule->read(reader));
  if (rule->bits != 32) return Status(Code::invalid, "frugal keeps its moments in f32");
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim

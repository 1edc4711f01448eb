// GaLore (Zhao et al. 2024): Adam sees only the gradient's leading directions, on the shorter side of the
// matrix; every `gap` steps they are found anew, by power iteration, staggered over the matrices. State: the
// directions and the moments of r values for each row of the longer side, in f32 or 8 bits (`bits`). Moments
// are kept across a change of directions. Vectors and matrices narrower than the rank get plain Adam.
#pragma once

#include "learn/optim/adam8.h"
#include "learn/optim/projection.h"

namespace varve::optim {

// What GaLore and its relatives have in common.
struct LowMoments : Optimizer {
  Moments moments;
  int32_t rank = 128, gap = 200, bits = 32;
  float scale = 0.25f;

  bool element_by_element() const override { return false; }
  bool projected(ParamShape shape) const { return std::min(shape.rows, shape.cols) > rank; }
  Projection projection(ParamShape shape) const { return {Sides(shape), size_t(rank)}; }
  static int64_t width(ParamShape shape) { return std::min(shape.rows, shape.cols); }
  static int64_t length(ParamShape shape) { return std::max(shape.rows, shape.cols); }
  int64_t low_values(ParamShape shape) const { return rank * length(shape); }
  int64_t moment_bytes(int64_t values) const { return bits == 8 ? adam8_bytes(values) : values * 8; }
  int64_t work_bytes(ParamShape shape) const override {
    return projected(shape) ? 2 * low_values(shape) * 4 : 0;
  }
  bool due(const StepAt& at) const { return at.step == 1 || (at.step + int64_t(at.place)) % gap == 0; }
  void adam(const AdamStep& by, std::span<const float> gradient, std::span<float> param,
            std::span<std::byte> state) const;
  Status read(OptionReader& reader);
};

// The weight's own decay, after which the step itself has none.
void decay_first(AdamStep& by, std::span<float> param);

}  // namespace varve::optim

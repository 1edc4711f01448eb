#include "learn/optim/galore.h"

#include <algorithm>

namespace varve::optim {

void LowMoments::adam(const AdamStep& by, std::span<const float> gradient, std::span<float> param,
                      std::span<std::byte> state) const {
  if (bits == 8) return adam8_step(by, gradient, param, state);
  float* m = floats(state).data();
  kernels().adam(by, gradient.data(), param.size(), param.data(), m, m + param.size());
}

Status LowMoments::read(OptionReader& reader) {
  TRY(moments.read(reader)
          .read("rank", rank, 1, 65536)
          .read("gap", gap, 1, 1 << 30)
          .read("bits", bits, 8, 32)
          .read("scale", scale, 1e-6f, 1e3f)
          .done());
  return bits == 8 || bits == 32 ? Status() : Status(Code::invalid, "bits is 8 or 32");
}

void decay_first(AdamStep& by, std::span<float> param) {
  if (by.decay != 0) kernels().scale(param.data(), 1 - by.decay, param.size());
  by.decay = 0;
}

namespace {

struct Galore : LowMoments {
  int64_t state_bytes(ParamShape shape) const override {
    return projected(shape) ? rank * width(shape) * 4 + moment_bytes(low_values(shape))
                            : moment_bytes(shape.size());
  }
  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    AdamStep by = moments.at(at);
    if (!projected(shape)) return adam(by, gradient, param, state);
    const Projection way = projection(shape);
    const auto held = size_t(rank * width(shape) * 4), n = size_t(low_values(shape));
    float* directions = floats(state.first(held)).data();
    const std::span<float> low = at.work.first(n), move = at.work.subspan(n, n);
    if (at.step == 1) way.draw({at.seed + at.place, 0, Site::init}, directions);
    if (due(at)) way.turn(gradient.data(), directions, low.data());
    std::fill_n(at.work.begin(), 2 * n, 0.f);
    way.down(gradient.data(), directions, low.data());
    decay_first(by, param);
    adam(by, low, move, state.subspan(held));
    way.up(directions, move.data(), scale, param.data());
  }
};

}  // namespace

Made galore(const Spec& spec) {
  auto rule = std::make_unique<Galore>();
  OptionReader reader(spec);
  TRY(rule->read(reader));
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim

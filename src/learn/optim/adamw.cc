// AdamW (Kingma & Ba 2015; Loshchilov & Hutter 2019): smoothed gradient over the root of the smoothed square,
// with decay beside it. State: both moments in f32.
#include "learn/optim/moments.h"

namespace varve::optim {
namespace {

class AdamW : public Optimizer {
 public:
  explicit AdamW(Moments moments) : moments_(moments) {}
  int64_t state_bytes(ParamShape shape) const override { return shape.size() * 8; }
  void step(ParamShape, std::span<float> param, std::span<const float> gradient, std::span<std::byte> state,
            const StepAt& at) const override {
    float* m = floats(state).data();
    kernels().adam(moments_.at(at), gradient.data(), param.size(), param.data(), m, m + param.size());
  }

 private:
  Moments moments_;
};

}  // namespace

Made adamw(const Spec& spec) {
  Moments moments;
  OptionReader reader(spec);
  TRY(moments.read(reader).done());
  return std::unique_ptr<Optimizer>(new AdamW(moments));
}

}  // namespace varve::optim

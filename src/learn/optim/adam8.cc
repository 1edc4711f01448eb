// 8-bit Adam (Dettmers et al. 2022): moments encoded in blocks. See adam8.h for the codes. Decoded, stepped
// and encoded a block at a time.
#include "learn/optim/adam8.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace varve::optim {
namespace {

constexpr float kOctaves = 20;  // that a code spans

struct Block {
  float first, second;  // the largest of each
  int8_t m[kBlock8];
  uint8_t v[kBlock8];
};
static_assert(sizeof(Block) == 2 * kBlock8 + 8);

const std::array<float, 256>& fractions() {  // of the largest, by code; 0 is nothing
  static const auto table = [] {
    std::array<float, 256> values{};
    for (int code = 1; code < 256; ++code)
      values[size_t(code)] = std::exp2(-kOctaves * float(255 - code) / 254);
    return values;
  }();
  return table;
}

void decode(const Block& block, size_t n, float* m, float* v) {
  for (size_t i = 0; i < n; ++i) {
    m[i] = block.first * float(block.m[i]) / 127;
    v[i] = block.second * fractions()[block.v[i]];
  }
}

void encode(const float* m, const float* v, size_t n, Block& block) {
  block.first = block.second = 0;
  for (size_t i = 0; i < n; ++i) {
    block.first = std::max(block.first, std::abs(m[i]));
    block.second = std::max(block.second, v[i]);
  }
  const float scale = block.first > 0 ? 127 / block.first : 0;
  for (size_t i = 0; i < n; ++i) {
    block.m[i] = int8_t(std::nearbyint(std::clamp(m[i] * scale, -127.f, 127.f)));
    const float below = v[i] > 0 ? std::log2(v[i] / block.second) * (254 / kOctaves) : 0;
    block.v[i] = v[i] > 0 ? uint8_t(std::clamp(255 + int(std::nearbyint(below)), 1, 255)) : uint8_t(0);
  }
}

class Adam8 : public Optimizer {
 public:
  explicit Adam8(Moments moments) : moments_(moments) {}
  int64_t state_bytes(ParamShape shape) const override { return adam8_bytes(shape.size()); }
  void step(ParamShape, std::span<float> param, std::span<const float> gradient, std::span<std::byte> state,
            const StepAt& at) const override {
    adam8_step(moments_.at(at), gradient, param, state);
  }

 private:
  Moments moments_;
};

}  // namespace

int64_t adam8_bytes(int64_t values) {
  return (values + kBlock8 - 1) / kBlock8 * int64_t(sizeof(Block));
}

void adam8_step(const AdamStep& step, std::span<const float> gradient, std::span<float> param,
                std::span<std::byte> state) {
  float m[kBlock8], v[kBlock8];
  for (size_t at = 0; at < param.size(); at += kBlock8, state = state.subspan(sizeof(Block))) {
    const size_t n = std::min(size_t(kBlock8), param.size() - at);
    Block block;
    std::memcpy(&block, state.data(), sizeof block);
    decode(block, n, m, v);
    kernels().adam(step, gradient.data() + at, n, param.data() + at, m, v);
    encode(m, v, n, block);
    std::memcpy(state.data(), &block, sizeof block);
  }
}

Made adam8(const Spec& spec) {
  Moments moments;
  OptionReader reader(spec);
  TRY(moments.read(reader).done());
  return std::unique_ptr<Optimizer>(new Adam8(moments));
}

}  // namespace varve::optim

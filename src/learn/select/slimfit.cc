// SlimFit (Ardakani et al. 2024): each layer learns once, then only those do that
// moved most, as a part of their size, when they last did; a part `frozen` rests. One that learns moves ever
// less, so that the others come back. Optimizer states stay.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "learn/select/selector.h"

namespace varve::select {
namespace {

struct SlimFit : Selector {
  float frozen = 0.75f;

  int32_t most(int32_t all) const override {
    return std::clamp(int32_t(std::lround(double(all) * (1 - double(frozen)))), 1, all);
  }
  int64_t state_bytes(int32_t all) const override { return 8 * all; }
  bool keeps_state() const override { return true; }
  static std::span<double> moved(std::span<std::byte> state) {
    return {reinterpret_cast<double*>(state.data()), state.size() / 8};
  }
  // A layer that never learnt is 0 in the state, and comes first.
  Status choose(const Occasion&, std::span<std::byte> state, std::span<uint8_t> live) const override {
    const std::span<double> sizes = moved(state);
    std::vector<size_t> order(live.size());
    std::iota(order.begin(), order.end(), size_t(0));
    auto size = [&](size_t i) { return sizes[i] == 0 ? HUGE_VAL : sizes[i]; };
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return size(a) > size(b); });
    std::fill(live.begin(), live.end(), uint8_t(0));
    for (size_t i = 0; i < size_t(most(int32_t(live.size()))); ++i) live[order[i]] = 1;
    return {};
  }
  std::function<void(std::span<const double>)> moves(std::span<std::byte> state) const override {
    return [known = moved(state)](std::span<const double> by) {
      for (size_t i = 0; i < by.size(); ++i) {
        if (by[i] >= 0) known[i] = std::max(by[i], 1e-30);
      }
    };
  }
};

}  // namespace

Made slimfit(const Spec& spec) {
  auto one = std::make_unique<SlimFit>();
  TRY(OptionReader(spec).read("frozen", one->frozen, 0.f, 1.f).done());
  return std::unique_ptr<Selector>(std::move(one));
}

}  // namespace varve::select

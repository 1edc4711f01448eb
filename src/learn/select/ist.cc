// IST (Yao et al. 2024): in each step `layers` of them learn, drawn by their importance. That is learnt too:
// every `every` steps `tries` subsets are tried, of which the other layers' adapters are turned down, and
// what lowers the loss more than the mean of the tries adds to the importance of the layers that were in it.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "learn/select/selector.h"

namespace varve::select {
namespace {

struct Ist : Selector {
  int32_t layers = 2, every = 10, tries = 3;
  float pace = 10;  // of the importance, which is the logarithm of the odds

  int32_t most(int32_t all) const override { return std::min(layers, all); }
  int64_t state_bytes(int32_t all) const override { return 8 * all; }
  bool asks() const override { return true; }

  Status weigh(const Occasion& at, std::span<double> importance) const {
    std::vector<std::vector<uint8_t>> subsets;
    std::vector<double> rewards;
    for (int32_t i = 0; i < tries; ++i) {
      std::vector<uint8_t> subset(importance.size());
      draw({at.seed + 1 + uint64_t(i), uint64_t(at.step), Site::selection}, layers, {}, subset);
      rewards.push_back(std::exp(-TRY(at.ask(subset))));
      subsets.push_back(std::move(subset));
    }
    const double mean = std::accumulate(rewards.begin(), rewards.end(), 0.0) / tries;
    for (size_t i = 0; i < subsets.size(); ++i) {
      for (size_t layer = 0; layer < importance.size(); ++layer)
        importance[layer] += double(subsets[i][layer]) * double(pace) * (rewards[i] - mean);
    }
    return {};
  }

  Status choose(const Occasion& at, std::span<std::byte> state, std::span<uint8_t> live) const override {
    const std::span<double> importance(reinterpret_cast<double*>(state.data()), live.size());
    if (at.step % every == 0) TRY(weigh(at, importance));
    std::vector<double> odds;
    for (double one : importance) odds.push_back(std::exp(std::clamp(one, -20.0, 20.0)));
    draw({at.seed, uint64_t(at.step), Site::selection}, layers, odds, live);
    return {};
  }
};

}  // namespace

Made ist(const Spec& spec) {
  auto one = std::make_unique<Ist>();
  TRY(OptionReader(spec)
          .read("layers", one->layers, 1, 1 << 16)
          .read("every", one->every, 1, 1 << 30)
          .read("tries", one->tries, 2, 1000)
          .read("pace", one->pace, 0.f, 1e6f)
          .done());
  return std::unique_ptr<Selector>(std::move(one));
}

}  // namespace varve::select

// LISA (Pan et al. 2024): `layers` of them at random, others every `every` steps. Which, is a function of the
// step.
#include <algorithm>

#include "learn/select/selector.h"

namespace varve::select {
namespace {

struct Lisa : Selector {
  int32_t layers = 2, every = 20;
  int32_t most(int32_t all) const override { return std::min(layers, all); }
  Status choose(const Occasion& at, std::span<std::byte>, std::span<uint8_t> live) const override {
    draw({at.seed, uint64_t((at.step - 1) / every), Site::selection}, layers, {}, live);
    return {};
  }
};

}  // namespace

Made lisa(const Spec& spec) {
  auto one = std::make_unique<Lisa>();
  TRY(OptionReader(spec)
          .read("layers", one->layers, 1, 1 << 16)
          .read("every", one->every, 1, 1 << 30)
          .done());
  return std::unique_ptr<Selector>(std::move(one));
}

}  // namespace varve::select

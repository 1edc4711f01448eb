#include <algorithm>
#include <cmath>
#include <vector>

#include "learn/select/selector.h"

namespace varve {
namespace select {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "learn/select/all.def"
#undef METHOD

void draw(RngKey key, int32_t count, std::span<const double> weights, std::span<uint8_t> chosen) {
  // Efraimidis & Spirakis 2006: the largest of u^(1/w), here as the smallest of -log(u) / w.
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    order.emplace_back(-std::log(1 - random_unit(key, i)) / std::max(weight, 1e-12), i);
  }
  std::sort(order.begin(), order.end());
  std::fill(chosen.begin(), chosen.end(), uint8_t(0));
  for (size_t i = 0; i < std::min(size_t(count), order.size()); ++i) chosen[order[i].second] = 1;
}

}  // namespace select

const Registry<Selector>& selectors() {
  static const Registry<Selector> all = [] {
    Registry<Selector> registry;
#define METHOD(name, summary) registry.add(#name, summary, select::name);
#include "learn/select/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve

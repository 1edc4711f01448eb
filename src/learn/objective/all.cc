#include <cmath>

#include "learn/objective/objective.h"

namespace varve {
namespace objective {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "learn/objective/all.def"
#undef METHOD

double preference_loss(double x) {
  return x > 0 ? std::log1p(std::exp(-x)) : -x + std::log1p(std::exp(x));
}
double preference_slope(double x) {
  return -1 / (1 + std::exp(x));
}
}  // namespace objective

const Registry<Objective>& objectives() {
  static const Registry<Objective> all = [] {
    Registry<Objective> registry;
#define METHOD(name, summary) registry.add(#name, summary, objective::name);
#include "learn/objective/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve

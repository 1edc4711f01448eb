// Objective: the loss of one sequence, or of a pair of them, as a function of how likely the model finds
// each. Its slopes become the weights of their tokens, so that no objective has a backward pass of its own
// and a pair takes the room of one sequence. One file each, one line in all.def.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/registry.h"

namespace varve {

struct Likelihood {    // of the tokens that are to be learnt in one sequence
  double nll = 0;      // the sum of their negative log-likelihoods
  double base = 0;     // the same by the model as it was, where needs_base()
  int64_t tokens = 0;  // how many they are
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual int32_t sequences() const { return 1; }  // that it judges together: 2 are the chosen, the rejected
  virtual bool needs_base() const { return false; }
  // False: its slopes are 1 whatever the model says, and nothing has to be asked before it learns.
  virtual bool looks_first() const { return true; }
  // The loss, and its slope in the nll of each sequence.
  virtual double weigh(std::span<const Likelihood> told, std::span<double> slopes) const = 0;
};

const Registry<Objective>& objectives();

namespace objective {  // one file an objective, one line in all.def
using Made = Registry<Objective>::Made;
// -log sigmoid(x), and the slope of it.
double preference_loss(double x);
double preference_slope(double x);
}  // namespace objective

}  // namespace varve

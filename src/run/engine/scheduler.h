// Scheduler: who is admitted and whose rows are in the next step. It plans; the engine carries out.
//
// A plan is a pure function of what is shown, so a scheduler is tested without a model or a clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/registry.h"

namespace varve {

struct SequenceView {
  bool running = false;      // admitted: it holds KV
  int32_t priority = 0;      // lower first
  int32_t rows = 0;          // that it could use in the next step, at least 1; exactly 1 while it generates
  int32_t waited_steps = 0;  // since it last had a row, or was submitted
};

struct StepLimits {
  int32_t rows = 0;       // of one step
  int32_t sequences = 0;  // running at once
};

struct BatchPlan {
  struct Share {
    size_t sequence = 0;
    int32_t rows = 0;
  };
  std::vector<size_t> admit;  // of those that wait; the engine tries them in this order
  std::vector<Share> shares;  // of those that run
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // `all` is in the order of submission. Somebody gets a row whenever anybody runs, and nobody waits forever.
  virtual BatchPlan plan(std::span<const SequenceView> all, const StepLimits& limits) const = 0;
};

const Registry<Scheduler>& schedulers();

namespace scheduler {  // one file a method, one line in schedule/all.def
using Made = Registry<Scheduler>::Made;
}

}  // namespace varve

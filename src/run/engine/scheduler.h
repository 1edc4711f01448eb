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
  int32_t served_steps = 0;  // with a row, since it was admitted, or came back from a pause
  int32_t kv_tokens = 0;     // whose KV it holds
};

struct StepLimits {
  int32_t rows = 0;       // of one step
  int32_t sequences = 0;  // running at once
  bool crowded = false;   // the first that waits has no room, and a pause would give it some
};

struct BatchPlan {
  struct Share {
    size_t sequence = 0;
    int32_t rows = 0;
  };
  std::vector<size_t> admit;  // of those that wait; the engine tries them in this order
  std::vector<Share> shares;  // of those that run
  // Of those that run and generate: their KV goes to the disk, and they join the end of those that wait. Only
  // when it is crowded.
  std::vector<size_t> pause;
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // `all` is in the order of submission, but who was paused joined again then. Somebody gets a row, or
  // pauses, whenever anybody runs, and nobody waits forever.
  virtual BatchPlan plan(std::span<const SequenceView> all, const StepLimits& limits) const = 0;
};

const Registry<Scheduler>& schedulers();

namespace scheduler {  // one file a method, one line in schedule/all.def
using Made = Registry<Scheduler>::Made;
}

}  // namespace varve

#include "run/engine/scheduler.h"

namespace varve {
namespace scheduler {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "run/engine/schedule/all.def"
#undef METHOD
}  // namespace scheduler

const Registry<Scheduler>& schedulers() {
  static const Registry<Scheduler> all = [] {
    Registry<Scheduler> registry;
#define METHOD(name, summary) registry.add(#name, summary, scheduler::name);
#include "run/engine/schedule/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve

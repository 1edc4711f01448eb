// After EM-LLM (Fountas et al. 2024): what is recalled brings its neighbours in time with it. Episodes are
// pages here: their borders are not where the text surprises.
#include "run/kv/select/rows.h"

namespace varve::kv_select {

Made episode(const Spec& spec) {
  const SelectPlan plan = TRY(read_plan(spec, {.near = 1}));
  std::unique_ptr<KvSelector> made(new Landmarks(4));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select

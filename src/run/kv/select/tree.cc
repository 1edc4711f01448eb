// After HiP (Lee et al. 2024): what lies together is first judged by one key of it; only the best groups are
// looked at page by page.
#include "run/kv/select/rows.h"

namespace varve::kv_select {

Made tree(const Spec& spec) {
  const SelectPlan plan = TRY(read_plan(spec, {.coarse = 8}));
  std::unique_ptr<KvSelector> made(new Landmarks(2));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select

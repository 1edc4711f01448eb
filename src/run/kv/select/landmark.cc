// InfLLM (Xiao et al. 2024): a page is looked up by a few of its keys.
#include "run/kv/select/rows.h"

namespace varve::kv_select {

Made landmark(const Spec& spec) {
  const SelectPlan plan = TRY(read_plan(spec));
  std::unique_ptr<KvSelector> made(new Landmarks(4));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select

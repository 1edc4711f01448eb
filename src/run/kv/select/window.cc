// The first tokens and the newest, as StreamingLLM reads (Xiao et al. 2023), but nothing is dropped. The
// baseline of the other selectors.
#include "run/kv/select/rows.h"

namespace varve::kv_select {

Made window(const Spec& spec) {
  const SelectPlan plan = TRY(read_plan(spec, {.pages = 0, .window = 64}));
  std::unique_ptr<KvSelector> made(new Landmarks(0));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select

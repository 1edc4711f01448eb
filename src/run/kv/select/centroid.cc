// After RetroInfer (Chen et al. 2025): the mean of a few neighbouring keys says which pages matter, and
// stands, with the mean of their values and as heavy as all of them, for those that are not read. The paper
// clusters keys by k-means within a segment; here a cluster is 16 neighbours.
#include "run/kv/select/rows.h"

namespace varve::kv_select {

Made centroid(const Spec& spec) {
  const SelectPlan plan = TRY(read_plan(spec, {.estimate = 16}));
  std::unique_ptr<KvSelector> made(new Means(plan.estimate > 0 ? 64 / plan.estimate : 4));
  made->plan = plan;
  return made;
}

}  // namespace varve::kv_select

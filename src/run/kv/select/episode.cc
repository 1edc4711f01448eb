// EM-LLM (Fountas et al. 2024): an episode begins where a token surprises more than those of late, and what
// is recalled brings its neighbours in time with it. The paper then moves borders to where keys differ most;
// here they stay where the text surprised. Surprise costs the output layer for every token of a prompt.
#include "run/kv/select/rows.h"

namespace varve::kv_select {

Made episode(const Spec& spec) {
  Spec rest = spec;
  const Spec own = take_options(rest, {"gamma", "least", "most"});
  Units units{.kind = Units::Kind::surprise, .least = 8, .most = 128};
  double gamma = 1;
  TRY(OptionReader(own)
          .read("gamma", gamma, -10.0, 10.0)
          .read("least", units.least, 4, 1024)
          .read("most", units.most, 4, 1024)
          .done());
  units.gamma = float(gamma);
  const SelectPlan plan = TRY(read_plan(rest, {.near = 1, .parts = true, .surprise = true}));
  auto made = std::make_unique<Landmarks>(4);
  made->units = units;
  made->plan = plan;
  return std::unique_ptr<KvSelector>(std::move(made));
}

}  // namespace varve::kv_select

// SentenceKV (Zhu et al. 2025): a sentence is remembered by the mean of its keys, and read as a whole when
// that promises most. Where a sentence ends, the token says (a full stop, a line's end). The paper also drops
// tokens that the end of the prompt does not look at; here nothing is dropped.
#include "run/kv/select/rows.h"

namespace varve::kv_select {

Made sentence(const Spec& spec) {
  Spec rest = spec;
  const Spec own = take_options(rest, {"least", "most"});
  Units units{.kind = Units::Kind::sentences, .least = 8, .most = 128};
  TRY(OptionReader(own).read("least", units.least, 2, 1024).read("most", units.most, 4, 1024).done());
  const SelectPlan plan = TRY(read_plan(rest, {.parts = true, .sentences = true}));
  auto made = std::make_unique<Means>(1);
  made->units = units;
  made->plan = plan;
  return std::unique_ptr<KvSelector>(std::move(made));
}

}  // namespace varve::kv_select

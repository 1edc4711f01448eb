// The facts of one exchange, in the form in which they are kept: "The user lives in Rome." Often there are
// none.
#include "learn/world/operations.h"

namespace varve::world::kind {
namespace {

struct Options {
  int most = 3;  // facts in an exchange
};

Item make(Scene& scene, const Options& options) {
  std::vector<Fact> facts;
  const int count = scene.draw.chance(0.25) ? 0 : scene.draw.range(1, options.most);
  for (int i = 0; i < count; ++i) facts.push_back(scene.any_fact());
  const Turn turn = exchange_with(scene, facts);
  std::vector<std::string> texts;
  for (const Fact& fact : facts) texts.push_back(fact_text(scene, fact));
  return extraction(turn, texts);
}

}  // namespace

Made extract(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("most", options.most, 1, 6).done());
  return std::unique_ptr<Kind>(new Simple<Options>(make, options));
}

}  // namespace varve::world::kind

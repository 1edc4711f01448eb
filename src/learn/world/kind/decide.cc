// New facts beside known ones: each is new, makes a known one untrue, or is known.
#include "learn/world/language/text.h"
#include "learn/world/operations.h"
#include "learn/world/statement.h"

namespace varve::world::kind {
namespace {

struct Options {
  int most = 3;    // new facts
  int known = 10;  // known ones, at most
};

// What a new fact is, with the known one that it meets; `fact` may become a newer one.
Change change_of(Scene& scene, Fact& fact) {
  Change change{.fact = "", .action = "add", .target = ""};
  const int sort = scene.draw.below(3);
  if (sort == 1 && fact.relation->changes) {
    change.action = "update";
    change.target = fact_text(scene, fact);
    fact = scene.change(fact);
  } else if (sort == 2) {
    change.action = "keep";
    change.target = scene.draw.chance(0.6) ? fact_text(scene, fact)
                                           : capitalised(stated(scene, fact, Voice::report)) + ".";
  }
  change.fact = fact_text(scene, fact);
  return change;
}

Item make(Scene& scene, const Options& options) {
  std::vector<Change> changes;
  std::vector<std::string> known;
  const int count = scene.draw.range(1, options.most);
  for (int i = 0; i < count; ++i) {
    Fact fact = scene.any_fact([](const Relation& r) { return !r.link; });
    changes.push_back(change_of(scene, fact));
    if (!changes.back().target.empty()) known.push_back(changes.back().target);
  }
  const int room = options.known - int(known.size());
  for (int i = scene.draw.range(known.empty() ? 1 : 0, room); i > 0; --i)
    known.push_back(fact_text(scene, scene.any_fact()));
  scene.draw.shuffle(known);
  return decision(changes, known);
}

}  // namespace

Made decide(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("most", options.most, 1, 6).read("known", options.known, 6, 10).done());
  return std::unique_ptr<Kind>(new Simple<Options>(make, options));
}

}  // namespace varve::world::kind

#include "learn/world/kind.h"

namespace varve::world {
namespace kind {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "learn/world/kind/all.def"
#undef METHOD

Made crowded(const Spec& spec, Item (*make)(Scene&, const Crowd&), Crowd usual) {
  int exact = -1;
  TRY(OptionReader(spec)
          .read("memories", exact, 0, 400)
          .read("least", usual.low, 0, 400)
          .read("most", usual.high, 0, 400)
          .read("more", usual.more, 0, 400)
          .done());
  if (exact >= 0) usual = {exact, exact};
  if (usual.high < usual.low) return Status(Code::invalid, "most= is less than least=");
  return std::unique_ptr<Kind>(new Simple<Crowd>(make, usual));
}
}  // namespace kind

const Registry<Kind>& kinds() {
  static const Registry<Kind> all = [] {
    Registry<Kind> registry;
#define METHOD(name, summary) registry.add(#name, summary, kind::name);
#include "learn/world/kind/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve::world

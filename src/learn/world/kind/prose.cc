// Plain text: a few paragraphs of description, story and letter.
#include "learn/world/prose.h"

#include "learn/world/kind.h"

namespace varve::world::kind {
namespace {

struct Options {
  int paragraphs = 3;  // at most
};

Item make(Scene& scene, const Options& options) {
  Item item;
  item.kind = "prose";
  const int count = scene.draw.range(1, options.paragraphs);
  for (int i = 0; i < count; ++i) {
    const int sort = scene.draw.below(5);
    if (i > 0) item.text += "\n\n";
    item.text += sort < 2 ? story(scene) : sort < 4 ? description(scene) : letter(scene);
  }
  return item;
}

}  // namespace

Made prose(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("paragraphs", options.paragraphs, 1, 100).done());
  return std::unique_ptr<Kind>(new Simple<Options>(make, options));
}

}  // namespace varve::world::kind

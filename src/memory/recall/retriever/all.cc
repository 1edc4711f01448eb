#include "memory/recall/retriever.h"

namespace varve {
namespace retriever {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "memory/recall/retriever/all.def"
#undef METHOD
}  // namespace retriever

const Registry<Retriever>& retrievers() {
  static const Registry<Retriever> all = [] {
    Registry<Retriever> registry;
#define METHOD(name, summary) registry.add(#name, summary, retriever::name);
#include "memory/recall/retriever/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve

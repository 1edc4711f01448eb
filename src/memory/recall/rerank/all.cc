#include "memory/recall/rerank.h"

namespace varve {
namespace reranker {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "memory/recall/rerank/all.def"
#undef METHOD
}  // namespace reranker

const Registry<Reranker>& rerankers() {
  static const Registry<Reranker> all = [] {
    Registry<Reranker> registry;
#define METHOD(name, summary) registry.add(#name, summary, reranker::name);
#include "memory/recall/rerank/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

}  // namespace varve

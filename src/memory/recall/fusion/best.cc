// A list's best counts 1 and the others their share of it: how far the best stands out is kept.
#include <algorithm>

#include "memory/recall/fusion.h"

namespace varve::fusion {
namespace {

class Best : public Fusion {
 public:
  double worth(std::span<const Hit> hits, size_t rank) const override {
    return std::max(0.0f, hits[rank].score / std::max(hits.front().score, 1e-6f));
  }
};

}  // namespace

Made best(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Fusion>(new Best);
}

}  // namespace varve::fusion

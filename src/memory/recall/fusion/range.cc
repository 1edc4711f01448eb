// A list's best counts 1 and its last 0 (CombSUM over min-max normalised scores, Fox & Shaw 1994). For lists
// whose scores have no natural zero, as cosines.
#include "memory/recall/fusion.h"

namespace varve::fusion {
namespace {

class Range : public Fusion {
 public:
  double worth(std::span<const Hit> hits, size_t rank) const override {
    const double low = hits.back().score, high = hits.front().score;
    return high > low ? (hits[rank].score - low) / (high - low) : 1;
  }
};

}  // namespace

Made range(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Fusion>(new Range);
}

}  // namespace varve::fusion

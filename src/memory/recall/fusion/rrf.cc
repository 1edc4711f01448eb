// Reciprocal rank fusion (Cormack, Clarke & Buettcher 2009), scaled so that a first place counts 1.
#include "memory/recall/fusion.h"

namespace varve::fusion {
namespace {

class Rrf : public Fusion {
 public:
  explicit Rrf(double k) : k_(k) {}
  double worth(std::span<const Hit>, size_t rank) const override {
    return (k_ + 1) / (k_ + 1 + double(rank));
  }

 private:
  double k_;
};

}  // namespace

Made rrf(const Spec& spec) {
  double k = 60;
  TRY(OptionReader(spec).read("k", k, 0.0, 10000.0).done());
  return std::unique_ptr<Fusion>(new Rrf(k));
}

}  // namespace varve::fusion

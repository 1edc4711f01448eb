// Every lane keeps as many tokens as every other.
#include "run/kv/policy.h"

namespace varve::kv_allot {
namespace {

class Uniform : public KvAllotter {
 public:
  std::vector<int32_t> allot(std::span<const KvLane> lanes, int32_t budget) const override {
    return std::vector<int32_t>(lanes.size(), budget);
  }
};

}  // namespace

Made uniform(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<KvAllotter>(new Uniform);
}

}  // namespace varve::kv_allot

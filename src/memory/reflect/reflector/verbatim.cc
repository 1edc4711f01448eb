// Verbatim: the evidence is the memory. A turn is stored as it was said before any reflector runs, and recall
// finds it there; so this one plans nothing, needs no model and costs nothing.
#include "memory/reflect/reflector.h"

namespace varve::reflector {
namespace {

class Verbatim : public Reflector {
 public:
  Result<std::vector<MemoryOp>> reflect(const Principal&, const Turn&, const Known&, Writer*) const override {
    return std::vector<MemoryOp>();
  }
};

}  // namespace

Made verbatim(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Reflector>(new Verbatim);
}

}  // namespace varve::reflector

// Baichuan 7B: Llama's shape. The 13B model has ALiBi in place of rope, which is not here.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> baichuan(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::adjacent;
  spec = TRY(common(from, std::move(spec)));
  if (spec.layers.size() == 40) {
    return Status(Code::unsupported, "Baichuan 13B attends with ALiBi, which is not supported");
  }
  return spec;
}

}  // namespace varve::arch

// Qwen (the first): a fused projection with biases; the file states the network's width twice over.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> qwen(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec = TRY(common(from, std::move(spec)));
  spec.hidden /= 2;
  return spec;
}

}  // namespace varve::arch

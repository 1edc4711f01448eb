// Phi-3 and Phi-4: Llama with rope over halves, fused query-key-value and gate-up projections (the first
// found in the file either way), and long-context rope factors.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> phi3(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.fused_gate = true;
  spec = TRY(common(from, std::move(spec)));
  TRY(windows(from, 0, 0, spec));
  return spec;
}

}  // namespace varve::arch

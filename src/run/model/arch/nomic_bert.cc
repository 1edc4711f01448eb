// Nomic Embed (Nussbaum et al. 2024): BERT with rotary positions and a gated network.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> nomic_bert(const HyperParameters& from) {
  DecoderSpec spec = encoder();
  spec.rope.kind = RopeKind::halves;
  spec = TRY(common(from, std::move(spec)));
  TRY(encoder_tables(from, spec));
  return spec;
}

}  // namespace varve::arch

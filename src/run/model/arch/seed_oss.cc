// Seed-OSS: Qwen 2 with another name for the norm before the network.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> seed_oss(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.ffn_norm = "post_attention_norm";
  return common(from, std::move(spec));
}

}  // namespace varve::arch

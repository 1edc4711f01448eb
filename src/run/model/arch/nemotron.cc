// Nemotron 3 and Minitron: layer norms (1 added in the file), relu(x)^2 without a gate, part of a head
// rotates.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> nemotron(const HyperParameters& from) {
  DecoderSpec spec;
  spec.rope.kind = RopeKind::halves;
  spec.norm = NormKind::layer;
  spec.activation = Activation::relu;
  spec.squared = true;
  spec.gated = false;
  return common(from, std::move(spec));
}

}  // namespace varve::arch

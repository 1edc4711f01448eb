// BERT (Devlin et al. 2019) and what has its shape: MiniLM, BGE, E5, GTE; RoBERTa and XLM-R, whose positions
// the converter has shifted. Text is read in both directions; a sum is normed after each layer's part.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> bert(const HyperParameters& from) {
  DecoderSpec spec = encoder();
  spec.learned_positions = true;
  spec.activation = Activation::gelu_erf;
  spec.gated = false;
  spec = TRY(common(from, std::move(spec)));
  TRY(encoder_tables(from, spec));
  return spec;
}

}  // namespace varve::arch

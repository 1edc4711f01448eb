// Granite 3 with experts: the same reading, another name in the files.
#include "run/model/arch/family.h"

namespace varve::arch {

Result<DecoderSpec> granite(const HyperParameters& from);

Result<DecoderSpec> granitemoe(const HyperParameters& from) {
  return granite(from);
}

}  // namespace varve::arch

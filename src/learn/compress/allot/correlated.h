// CPTQuant's correlation rule (Nanda et al. 2024, CMPQ): a weight whose outputs go on as they were, but for
// their size, needs fewer bits. The loss of a format is one less the squared correlation of an output with
// the one of full precision over the calibration inputs, in the mean over outputs: each counts alike, large
// or small.
#pragma once

#include "learn/compress/draft.h"

namespace varve {

// One number a format. The inputs' mean squares stand for their second moments.
Result<std::vector<double>> uncorrelated(const Draft& draft, const Weight& weight,
                                         std::span<const Codec* const> formats);

}  // namespace varve

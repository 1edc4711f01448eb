// The one way that rows pass a weight: the product, the bias, and what the adapters of the sequences add.
#pragma once

#include "run/model/block.h"
#include "run/model/block/layer_weights.h"

namespace varve {

// y = x w^T + bias, and for each segment with an adapter: y += delta(x).
Status project(Step& step, const WeightStore& store, const Affine& affine, Rows x, Rows y);
// out = norm(x), by weight and bias when there are any. group: see Ops::rms_norm.
Status normalise(Step& step, const WeightStore& store, const DecoderSpec& spec, const Affine& norm, Rows x,
                 Rows out, int32_t group = 0);

}  // namespace varve

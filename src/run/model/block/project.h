// The one way that rows pass a weight: the product, the bias, and what the adapters of the sequences add.
#pragma once

#include "run/model/block.h"
#include "run/model/block/layer_weights.h"

namespace varve {

// y = x w^T (add: y += instead), part by part where the store streams; nothing where it has left the weight
// out. of_stack: of a weight that is a stack of matrices.
Status multiply(Ops& ops, const WeightStore& store, WeightId weight, int32_t of_stack, Rows x, Rows y,
                bool add = false);
// out[i] = row rows[i] of a table, those alone where the store streams.
Status look_up(Ops& ops, const WeightStore& store, WeightId table, std::span<const int32_t> rows, Rows out);
// y = x w^T + bias, and for each segment with an adapter: y += delta(x).
Status project(Step& step, const WeightStore& store, const Affine& affine, Rows x, Rows y);
// out = norm(x), by weight and bias when there are any. group: see Ops::rms_norm.
Status normalise(Step& step, const WeightStore& store, const DecoderSpec& spec, const Affine& norm, Rows x,
                 Rows out, int32_t group = 0);

}  // namespace varve

// bp1 to bp8: whole numbers of 1 to 8 bits in planes of bits, 128 values with a scale and a least value, 0.25
// bits a value above their own: GPTQ's usual groups, and what products by table lookup read
// (kernel/planes.h).
#pragma once

#include "math/codec/codec.h"
#include "math/kernel/planes.h"

namespace varve {

// How many planes the codec has; 0: it is no such format.
size_t planes_of(const Codec& codec);

}  // namespace varve

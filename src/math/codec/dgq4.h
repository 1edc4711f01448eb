// dgq4: DGQ, dual grained quantisation (Zhang et al. 2023): codes of 4 bits whose groups have whole-number
// scales and zeros, so that a value is an 8-bit whole number before one scale of floats: products of 8-bit
// inputs need no more than q8_0's. There a row has one scale; here 256 values, so that a block decodes
// alone. 4.31 bits.
#pragma once

#include "math/codec/codec.h"

namespace varve {

bool is_dual(const Codec& codec);
// As blocks of q8_0 that mean the same: `values` of them, whole blocks of 256.
void expand_dual(const std::byte* bytes, size_t values, std::byte* q8);

}  // namespace varve

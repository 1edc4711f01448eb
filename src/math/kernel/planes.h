// Products by table lookup (T-MAC, LUT Tensor Core, SAIL): weights in planes of bits (math/codec/planes.h),
// inputs of 8 bits. Of each four inputs the sums of all sixteen choices are made once; four bits of a plane
// then name one. A table of its own beside the kernel table, since its inputs are others.
#pragma once

#include "math/kernel/kernel.h"

namespace varve {

// A block: a scale and a least value (f16), then its planes, lowest bit first; bit i % 8 of byte i / 8 is
// value i's.
inline constexpr size_t kPlaneValues = 128, kPlaneBytes = kPlaneValues / 8;
constexpr size_t plane_block_bytes(size_t bits) {
  return 4 + kPlaneBytes * bits;
}

struct PlaneTables {  // of 128 inputs
  // Bytes of 16-bit sums: entry i of inputs 4 t + b, where bit b of i is set.
  alignas(64) uint8_t low[32][16];
  uint8_t high[32][16];
  float scale[4], sum;  // of each 32 inputs; of all, as they are
};

struct PlaneKernels {
  // `values` inputs, whole blocks of kPlaneValues, turned as kernels().turned says.
  void (*tables)(const InputPanel* x, bool turned, size_t values, PlaneTables* out);
  // out[i] = row i . x, the same bits on every ISA. Per block: each 32 inputs' sum of codes, exact, times
  // their scale, one after another; that times the block's scale, then its least times the inputs' sum.
  void (*multiply)(const WeightRows& w, size_t bits, const PlaneTables* x, float* out);
};

// As good as kernels_for(isa) may use.
const PlaneKernels& plane_kernels(const char* isa = kernels().isa);

}  // namespace varve

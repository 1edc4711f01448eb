// What the machine gives at the moment, measured beside every figure: other processes come and go.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "math/ops/thread_pool.h"

namespace varve::bench {

template <class Work>
double seconds(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// GB/s at which all threads together read `bytes` once, front to back in stripes.
double read_rate(ThreadPool& pool, std::span<const std::byte> bytes);
// Gop/s of f32 products (2 operations each) whose operands stay in the first-level cache.
double product_rate(ThreadPool& pool);
// Gop/s of packed bf16 products whose factors stay near the core: the matrix unit, where there is one.
double tile_rate(ThreadPool& pool);

}  // namespace varve::bench

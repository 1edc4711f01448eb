#include "bench/micro/machine.h"

#include <atomic>
#include <cstring>

#include "math/kernel/kernel.h"

namespace varve::bench {

double read_rate(ThreadPool& pool, std::span<const std::byte> bytes) {
  constexpr size_t kStripe = 4 << 20;
  const size_t stripes = bytes.size() / kStripe;
  std::atomic<uint64_t> sink = 0;
  const double time = seconds([&] {
    pool.run(int64_t(stripes), [&](int64_t stripe) {
      const std::byte* at = bytes.data() + size_t(stripe) * kStripe;
      uint64_t sums[8] = {};  // one load a cache line is what the memory sees
      for (size_t i = 0; i < kStripe; i += 512) {
        for (size_t line = 0; line < 8; ++line) {
          uint64_t word;
          std::memcpy(&word, at + i + 64 * line, 8);
          sums[line] += word;
        }
      }
      for (uint64_t sum : sums) sink += sum;
    });
  });
  return double(stripes * kStripe) / time / 1e9;
}

double product_rate(ThreadPool& pool) {
  constexpr size_t kRows = 4, kInputs = 6, kWidth = 512, kRounds = 2000;
  const int64_t tasks = 4 * pool.threads();
  std::vector<Lanes> sums(size_t(tasks) * kRows * kInputs);
  const double time = seconds([&] {
    pool.run(tasks, [&](int64_t task) {
      float w[kRows * kWidth] = {}, x[kInputs * kWidth] = {};
      for (size_t round = 0; round < kRounds; ++round) {
        kernels().dot_f32(w, kWidth, kRows, x, kWidth, kInputs, kWidth,
                          &sums[size_t(task) * kRows * kInputs]);
      }
    });
  });
  return 2.0 * kRows * kInputs * kWidth * kRounds * double(tasks) / time / 1e9;
}

double tile_rate(ThreadPool& pool) {
  constexpr size_t kSize = 64, kDepth = 16, kRounds = 500;
  constexpr size_t kValues = kSize / kTileSize * kDepth * kTileValues;
  const int64_t tasks = 4 * pool.threads();
  const double time = seconds([&] {
    pool.run(tasks, [&](int64_t) {
      alignas(64) uint16_t left[kValues] = {}, right[kValues] = {};
      alignas(64) float out[kSize * kSize];
      for (size_t round = 0; round < kRounds; ++round) {
        kernels().multiply(left, kSize, right, kSize, kDepth, out, kSize, round > 0);
      }
    });
  });
  return 2.0 * kSize * kSize * double(kDepth * kTileDepth) * kRounds * double(tasks) / time / 1e9;
}

}  // namespace varve::bench

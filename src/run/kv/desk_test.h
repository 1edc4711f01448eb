// A pool of two layers (or of another shape) and two lanes each, and caches that grow by tokens which are a
// function of their place.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "run/kv/kv_pool.h"

namespace varve {

inline constexpr KvShape kShape{.layers = 2, .kv_heads = 2, .key_dim = 32, .value_dim = 32};
inline constexpr AttendSpec kHow{.heads = 4, .kv_heads = 2, .key_dim = 32, .value_dim = 32, .scale = 0.18f};
inline constexpr int32_t kWidth = 2 * 32, kQuery = 4 * 32, kPlanted = 777;

inline std::vector<float> normal(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(n);
  for (float& value : values) value = distribution(random);
  return values;
}

class Desk {
 public:
  explicit Desk(const std::string& text, int threads = 1, int64_t limit = 64 << 20,
                const KvShape& shape = kShape)
      : ledger(limit), pool(threads), ops(pool), scratch(std::move(*Scratch::make(ledger, 4 << 20))) {
    recipe = *parse_kv_recipe(text);
    auto made = make_kv_pool(ledger, shape, recipe);
    CHECK(made.ok(), "a pool");
    kv_pool = *made;
  }
  std::unique_ptr<KvCache> cache(const KvSnapshot& from = {}) {
    auto made = make_kv_cache(kv_pool, from);
    CHECK(made.ok(), "a cache");
    return std::move(*made);
  }
  // Tokens that are a function of their place (and of `seed`), in pieces.
  void grow(KvCache& kv, int32_t count, int32_t piece, uint32_t seed = 0) {
    for (int32_t done = 0; done < count; done += piece) {
      const int32_t n = std::min(piece, count - done), first = kv.tokens();
      std::vector<int32_t> positions;
      for (int32_t i = 0; i < n; ++i) {
        positions.push_back(first + i);
        kv.notes().sentences.push_back((first + i) % 20 == 19);
        kv.notes().surprised(first + i, (first + i) % 33 == 0 ? 9.f : 1.f);
      }
      for (int32_t layer = 0; layer < kv_pool->shape.layers; ++layer) {
        std::vector<float> keys, values;
        for (int32_t i = 0; i < n; ++i) {
          const auto row = normal(2 * kWidth, uint32_t(1000 * (first + i) + layer) + seed);
          for (int32_t d = 0; d < kWidth; ++d)  // one key stands out
            keys.push_back(first + i == kPlanted ? 4 * row[size_t(d)] : row[size_t(d)]);
          values.insert(values.end(), row.begin() + kWidth, row.end());
        }
        const int64_t mark = scratch.mark();
        const Rows k = scratch.take(n, kWidth), v = scratch.take(n, kWidth);
        ops.load(keys, k), ops.load(values, v);
        ASSERT_TRUE(kv.append(ops, layer, k, v, positions).ok());
        scratch.release(mark);
      }
    }
  }
  // `query`: of the newest tokens, row by row.
  std::vector<float> attend(KvCache& kv, const std::vector<float>& query, int32_t layer = 1) {
    const auto rows = int32_t(query.size()) / kQuery;
    const int64_t mark = scratch.mark();
    const Rows q = scratch.take(rows, kQuery), out = scratch.take(rows, kQuery);
    ops.load(query, q);
    AttendSpec how = kHow;
    how.codec = &kv.codec();
    std::vector<int32_t> positions;
    for (int32_t i = 0; i < rows; ++i) positions.push_back(kv.tokens() - rows + i);
    auto read = kv.reads(ops, layer, q, how);
    CHECK(read.ok(), "what a query reads");
    const AttendSegment segment{0, rows, positions, *read};
    ops.attend(how, q, {&segment, 1}, out);
    std::vector<float> got(query.size());
    ops.store(out, got);
    scratch.release(mark);
    return got;
  }

  Ledger ledger;
  KvRecipe recipe;
  std::shared_ptr<KvPool> kv_pool;
  ThreadPool pool;
  Ops ops;
  Scratch scratch;
};

inline double relative(const std::vector<float>& got, const std::vector<float>& expected) {
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += std::pow(double(got[i]) - double(expected[i]), 2);
    size += std::pow(double(expected[i]), 2);
  }
  return std::sqrt(error / size);
}

}  // namespace varve

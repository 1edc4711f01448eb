// After DeltaLLM (2025): a key that hardly changed since the one before is not looked at, its logit is that
// of the one before. A page keeps a share of its keys, where the change is largest; the others take the score
// of the last one kept, which is the mean of those that share it. Values are f16, and so are the newest
// tokens.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "math/kernel/half.h"
#include "math/pack/pack.h"

namespace varve::page_pack {
namespace {

constexpr size_t kTokens = size_t(kPackTokens);
using Begins = uint64_t;  // a bit a token: its key is one that is kept

float apart(const float* a, const float* b, size_t dim) {
  float sum = 0;
  for (size_t d = 0; d < dim; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

// The first key of the page, then every one that is farther than `limit` from the last of these.
Begins changes(std::span<const float> rows, size_t dim, float limit) {
  Begins begins = 1;
  for (size_t t = 1, last = 0; t < kTokens; ++t) {
    if (!(apart(&rows[t * dim], &rows[last * dim], dim) > limit)) continue;
    begins |= Begins(1) << t;
    last = t;
  }
  return begins;
}

class Delta : public PagePack {
 public:
  Delta(float keep, int residual)
      : kept_(std::clamp(size_t(keep * float(kTokens) + 0.5f), size_t(1), kTokens)), residual_(residual) {}
  int32_t residual() const override { return residual_; }
  Status fits(int32_t, int32_t) const override { return {}; }
  int64_t key_bytes(int32_t dim) const override { return int64_t(sizeof(Begins)) + 2 * int64_t(kept_) * dim; }
  int64_t value_bytes(int32_t dim) const override { return dim * 2 * kPackTokens; }

  void encode_keys(std::span<const float> rows, int32_t width, std::byte* out) const override {
    const auto dim = size_t(width);
    const Begins begins = fewest(rows, dim);
    std::vector<float> means(kept_ * dim);
    for (size_t t = 0, run = 0, count = 0; t < kTokens; ++t) {
      if (t > 0 && (begins >> t & 1) != 0) ++run, count = 0;
      ++count;
      for (size_t d = 0; d < dim; ++d) {
        float& mean = means[run * dim + d];
        mean += (rows[t * dim + d] - mean) / float(count);
      }
    }
    std::memcpy(out, &begins, sizeof(begins));
    encode(means, out + sizeof(begins));
  }
  void encode_values(std::span<const float> rows, int32_t, std::byte* out) const override {
    encode(rows, out);
  }
  void decode_keys(const std::byte* from, int32_t width, float* rows) const override {
    const auto dim = size_t(width);
    std::vector<float> means(kept_ * dim);
    kernels().decode[size_t(Format::f16)](from + sizeof(Begins), means.size(), means.data());
    const Runs runs(from, kept_);
    for (size_t t = 0; t < kTokens; ++t) std::copy_n(&means[runs.of[t] * dim], dim, rows + t * dim);
  }
  void decode_values(const std::byte* from, int32_t dim, float* rows) const override {
    kernels().decode[size_t(Format::f16)](from, kTokens * size_t(dim), rows);
  }

  void score(const std::byte* keys, int32_t dim, Queries queries, float factor,
             float* scores) const override {
    const Runs runs(keys, kept_);
    alignas(64) float few[kTokens];
    for (size_t i = 0; i < size_t(queries.count); ++i) {
      kernels().score_rows[size_t(Format::f16)](keys + sizeof(Begins), runs.count,
                                                queries.rows + i * size_t(dim), 1, size_t(dim), factor, few,
                                                nullptr);
      for (size_t t = 0; t < kTokens; ++t) scores[i * kAttendTile + t] = few[runs.of[t]];
    }
  }
  void mix(const std::byte* values, int32_t dim, const float* shares, int32_t count,
           float* out) const override {
    kernels().mix_rows[size_t(Format::f16)](values, kTokens, shares, size_t(count), size_t(dim), out,
                                            size_t(dim), nullptr);
  }

 private:
  // Which kept key each token uses, whatever the bytes say.
  struct Runs {
    Runs(const std::byte* from, size_t kept) {
      Begins begins;
      std::memcpy(&begins, from, sizeof(begins));
      size_t run = 0;
      for (size_t t = 0; t < kTokens; ++t) {
        if (t > 0 && (begins >> t & 1) != 0) run = std::min(run + 1, kept - 1);
        of[t] = uint8_t(run);
      }
      count = run + 1;
    }
    uint8_t of[kTokens];
    size_t count;
  };

  // With the least limit that leaves no more than are kept.
  Begins fewest(std::span<const float> rows, size_t dim) const {
    Begins best = changes(rows, dim, -1);
    if (kept_ == kTokens) return best;
    float low = 0, high = 0;
    for (size_t t = 1; t < kTokens; ++t) high = std::max(high, 4 * apart(&rows[t * dim], rows.data(), dim));
    best = 1;  // all alike
    for (int step = 0; step < 20; ++step) {
      const float limit = low + (high - low) / 2;
      const Begins begins = changes(rows, dim, limit);
      if (size_t(__builtin_popcountll(begins)) <= kept_) {
        best = begins, high = limit;
      } else {
        low = limit;
      }
    }
    return best;
  }
  static void encode(std::span<const float> x, std::byte* out) {
    for (size_t i = 0; i < x.size(); ++i) {
      const uint16_t half = f32_to_f16(x[i]);
      std::memcpy(out + 2 * i, &half, 2);
    }
  }

  size_t kept_;
  int residual_;
};

}  // namespace

Made delta(const Spec& spec) {
  double keep = 0.5;
  int residual = 128;
  TRY(OptionReader(spec).read("keep", keep, 0.02, 1.0).read("residual", residual, 0, 1 << 20).done());
  return std::unique_ptr<PagePack>(new Delta(float(keep), residual));
}

}  // namespace varve::page_pack

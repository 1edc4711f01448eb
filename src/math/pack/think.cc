// ThinK (Xu et al. 2024): some channels of the keys hardly move the logits. A page keeps the share of
// channels in which its keys are largest; the paper also weighs them by the newest queries, which a page does
// not see. Values are f16.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "math/kernel/half.h"
#include "math/pack/pack.h"

namespace varve::page_pack {
namespace {

constexpr size_t kMostDim = 512;

class Think : public PagePack {
 public:
  Think(float keep, int residual) : keep_(keep), residual_(residual) {}
  int32_t residual() const override { return residual_; }
  Status fits(int32_t key_dim, int32_t) const override {
    if (key_dim <= int32_t(kMostDim)) return {};
    return Status(Code::invalid, "pack=think holds keys of at most 512 values");
  }
  // Which channels, in order, then their f16 numbers, token by token.
  int64_t key_bytes(int32_t dim) const override { return kept(dim) * 2 * (1 + kPackTokens); }
  int64_t value_bytes(int32_t dim) const override { return dim * 2 * kPackTokens; }

  void encode_keys(std::span<const float> rows, int32_t dim, std::byte* out) const override {
    std::vector<double> size(static_cast<size_t>(dim));
    for (size_t i = 0; i < rows.size(); ++i) size[i % size_t(dim)] += double(rows[i]) * double(rows[i]);
    std::vector<uint16_t> channels(static_cast<size_t>(dim));
    std::iota(channels.begin(), channels.end(), uint16_t(0));
    std::stable_sort(channels.begin(), channels.end(),
                     [&](uint16_t a, uint16_t b) { return size[a] > size[b]; });
    channels.resize(size_t(kept(dim)));
    std::sort(channels.begin(), channels.end());
    std::vector<float> few(channels.size() * size_t(kPackTokens));
    for (size_t i = 0; i < few.size(); ++i)
      few[i] = rows[i / channels.size() * size_t(dim) + channels[i % channels.size()]];
    std::memcpy(out, channels.data(), 2 * channels.size());
    encode(few, out + 2 * channels.size());
  }
  void encode_values(std::span<const float> rows, int32_t, std::byte* out) const override {
    encode(rows, out);
  }
  void decode_keys(const std::byte* from, int32_t dim, float* rows) const override {
    const size_t few = size_t(kept(dim));
    std::fill_n(rows, kPackTokens * dim, 0.f);
    std::vector<float> values(few * size_t(kPackTokens));
    kernels().decode[size_t(Format::f16)](from + 2 * few, values.size(), values.data());
    for (size_t i = 0; i < values.size(); ++i)
      rows[i / few * size_t(dim) + channel(from, i % few, dim)] = values[i];
  }
  void decode_values(const std::byte* from, int32_t dim, float* rows) const override {
    kernels().decode[size_t(Format::f16)](from, size_t(kPackTokens * dim), rows);
  }

  void score(const std::byte* keys, int32_t dim, Queries queries, float factor,
             float* scores) const override {
    const size_t few = size_t(kept(dim));
    alignas(64) float own[4 * kMostDim];
    for (int32_t first = 0; first < queries.count; first += 4) {
      const size_t n = size_t(std::min(4, queries.count - first));
      for (size_t i = 0; i < n * few; ++i)
        own[i] = queries.rows[(size_t(first) + i / few) * size_t(dim) + channel(keys, i % few, dim)];
      kernels().score_rows[size_t(Format::f16)](keys + 2 * few, size_t(kPackTokens), own, n, few, factor,
                                                scores + size_t(first) * kAttendTile, nullptr);
    }
  }
  void mix(const std::byte* values, int32_t dim, const float* shares, int32_t count,
           float* out) const override {
    kernels().mix_rows[size_t(Format::f16)](values, size_t(kPackTokens), shares, size_t(count), size_t(dim),
                                            out, size_t(dim), nullptr);
  }

 private:
  int64_t kept(int32_t dim) const { return std::clamp<int64_t>(int64_t(keep_ * float(dim) + 0.5f), 1, dim); }
  static size_t channel(const std::byte* from, size_t index, int32_t dim) {
    uint16_t channel;
    std::memcpy(&channel, from + 2 * index, 2);
    return std::min<size_t>(channel, size_t(dim) - 1);
  }
  static void encode(std::span<const float> x, std::byte* out) {
    for (size_t i = 0; i < x.size(); ++i) {
      const uint16_t half = f32_to_f16(x[i]);
      std::memcpy(out + 2 * i, &half, 2);
    }
  }

  float keep_;
  int residual_;
};

}  // namespace

Made think(const Spec& spec) {
  double keep = 0.6;
  int residual = 32;
  TRY(OptionReader(spec).read("keep", keep, 0.05, 1.0).read("residual", residual, 0, 1 << 20).done());
  return std::unique_ptr<PagePack>(new Think(float(keep), residual));
}

}  // namespace varve::page_pack

// Two precisions in a page, after ZipVL (He et al. 2024): the half of its tokens that stand out gets 4 bits,
// the rest 2. Where the paper asks which tokens are attended to, this asks which lie farthest from the page's
// mean, for those lose most; keys and values each by themselves.
#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "math/pack/codes.h"
#include "math/pack/pack.h"

namespace varve::page_pack {
namespace {

constexpr int32_t kHalf = kPackTokens / 2;
static_assert(kHalf == int32_t(kCodeColumns), "a half is a block of a channel");

class Zip : public PagePack {
 public:
  explicit Zip(int residual) : residual_(residual) {}
  int32_t residual() const override { return residual_; }
  Status fits(int32_t, int32_t value_dim) const override {
    if (value_dim % int32_t(kCodeColumns) == 0) return {};
    return Status(Code::invalid,
                  "pack=zip stores 32 values of a token together, but a head of this model has " +
                      std::to_string(value_dim) + "; use pack=f16");
  }
  // The order of the tokens, one byte each, then the half in 4 bits, then the half in 2.
  int64_t key_bytes(int32_t dim) const override {
    return kPackTokens + dim * (code_bytes(4, kHalf) + code_bytes(2, kHalf));
  }
  int64_t value_bytes(int32_t dim) const override {
    return kPackTokens + kHalf * (code_bytes(4, dim) + code_bytes(2, dim));
  }

  void encode_keys(std::span<const float> rows, int32_t dim, std::byte* out) const override {
    const auto order = write_order(rows, dim, out);
    const std::vector<float> sorted = permuted(rows, dim, order);
    out += kPackTokens;
    for (const int32_t bits : {4, 2}) {
      const float* from = &sorted[size_t(bits == 4 ? 0 : kHalf * dim)];
      for (int32_t channel = 0; channel < dim; ++channel, out += code_bytes(bits, kHalf))
        encode_codes(bits, from + channel, size_t(dim), out);
    }
  }
  void encode_values(std::span<const float> rows, int32_t dim, std::byte* out) const override {
    const auto order = write_order(rows, dim, out);
    const std::vector<float> sorted = permuted(rows, dim, order);
    out += kPackTokens;
    for (int32_t at = 0; at < kPackTokens * dim; at += int32_t(kCodeColumns)) {
      const int32_t bits = at < kHalf * dim ? 4 : 2;
      encode_codes(bits, &sorted[size_t(at)], 1, out);
      out += code_bytes(bits, int64_t(kCodeColumns));
    }
  }
  void decode_keys(const std::byte* from, int32_t dim, float* rows) const override {
    std::vector<float> sorted(size_t(kPackTokens) * size_t(dim));
    const std::byte* at = from + kPackTokens;
    for (const int32_t bits : {4, 2}) {
      float* to = &sorted[size_t(bits == 4 ? 0 : kHalf * dim)];
      for (int32_t channel = 0; channel < dim; ++channel, at += code_bytes(bits, kHalf))
        decode_codes(bits, at, size_t(dim), to + channel);
    }
    put_back(sorted, dim, from, rows);
  }
  void decode_values(const std::byte* from, int32_t dim, float* rows) const override {
    std::vector<float> sorted(size_t(kPackTokens) * size_t(dim));
    const std::byte* block = from + kPackTokens;
    for (int32_t at = 0; at < kPackTokens * dim; at += int32_t(kCodeColumns)) {
      const int32_t bits = at < kHalf * dim ? 4 : 2;
      decode_codes(bits, block, 1, &sorted[size_t(at)]);
      block += code_bytes(bits, int64_t(kCodeColumns));
    }
    put_back(sorted, dim, from, rows);
  }

  void score(const std::byte* keys, int32_t dim, Queries queries, float factor,
             float* scores) const override {
    for (int32_t i = 0; i < queries.count; ++i, scores += kPackTokens) {
      std::array<float, kPackTokens> sorted{};
      const std::byte* at = keys + kPackTokens;
      const RowFactors query{queries.rows + i * dim, size_t(dim)};
      kernels().mix_codes4({at, size_t(dim), size_t(kHalf)}, query, 1, sorted.data(), kAttendTile);
      at += dim * code_bytes(4, kHalf);
      kernels().mix_codes2({at, size_t(dim), size_t(kHalf)}, query, 1, &sorted[size_t(kHalf)], kAttendTile);
      for (int32_t t = 0; t < kPackTokens; ++t) scores[place(keys, t)] = sorted[size_t(t)] * factor;
    }
  }
  void mix(const std::byte* values, int32_t dim, const float* shares, int32_t count,
           float* out) const override {
    for (int32_t i = 0; i < count; ++i, shares += kPackTokens, out += dim) {
      std::array<float, kPackTokens> sorted;
      for (int32_t t = 0; t < kPackTokens; ++t) sorted[size_t(t)] = shares[place(values, t)];
      const std::byte* at = values + kPackTokens;
      kernels().mix_codes4({at, size_t(kHalf), size_t(dim)}, {sorted.data(), 0}, 1, out, size_t(dim));
      at += kHalf * code_bytes(4, dim);
      kernels().mix_codes2({at, size_t(kHalf), size_t(dim)}, {&sorted[size_t(kHalf)], 0}, 1, out,
                           size_t(dim));
    }
  }

 private:
  using Order = std::array<uint8_t, size_t(kPackTokens)>;
  static size_t place(const std::byte* from, int32_t index) {  // any bytes read inside of the page
    return size_t(from[index]) % size_t(kPackTokens);
  }
  static Order write_order(std::span<const float> rows, int32_t dim, std::byte* out) {
    const auto width = size_t(dim);
    std::vector<double> mean(width);
    for (size_t i = 0; i < rows.size(); ++i) mean[i % width] += double(rows[i]) / double(kPackTokens);
    std::array<double, size_t(kPackTokens)> far{};
    for (size_t i = 0; i < rows.size(); ++i) {
      const double apart = double(rows[i]) - mean[i % width];
      far[i / width] += apart * apart;
    }
    Order order;
    std::iota(order.begin(), order.end(), uint8_t(0));
    std::stable_sort(order.begin(), order.end(), [&](uint8_t a, uint8_t b) { return far[a] > far[b]; });
    std::sort(order.begin(), order.begin() + kHalf);
    std::sort(order.begin() + kHalf, order.end());
    std::transform(order.begin(), order.end(), out, [](uint8_t token) { return std::byte{token}; });
    return order;
  }
  static std::vector<float> permuted(std::span<const float> rows, int32_t dim, const Order& order) {
    std::vector<float> sorted;
    for (const uint8_t token : order) {
      const auto row = rows.subspan(size_t(token) * size_t(dim), size_t(dim));
      sorted.insert(sorted.end(), row.begin(), row.end());
    }
    return sorted;
  }
  static void put_back(std::span<const float> sorted, int32_t dim, const std::byte* from, float* rows) {
    for (int32_t t = 0; t < kPackTokens; ++t)
      std::copy_n(&sorted[size_t(t * dim)], dim, rows + place(from, t) * size_t(dim));
  }

  int residual_;
};

}  // namespace

Made zip(const Spec& spec) {
  int residual = 128;
  TRY(OptionReader(spec).read("residual", residual, 0, 1 << 20).done());
  return std::unique_ptr<PagePack>(new Zip(residual));
}

}  // namespace varve::page_pack

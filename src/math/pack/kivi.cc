// KIVI (Liu et al. 2024): a key's channels differ more than its tokens, so keys are quantised along 32 tokens
// of a channel and values along 32 channels of a token. The newest 128 stay exact. The paper's steps go from
// the least to the largest; here they lie where the squared error is least, which halves the perplexity lost.
#include <vector>

#include "math/pack/codes.h"
#include "math/pack/pack.h"

namespace varve::page_pack {
namespace {

struct Options {
  int bits = 4;
  int residual = 128;
};

class Kivi : public PagePack {
 public:
  explicit Kivi(Options options) : options_(options) {}
  int32_t residual() const override { return options_.residual; }
  Status fits(int32_t, int32_t value_dim) const override {
    if (value_dim % int32_t(kCodeColumns) == 0) return {};
    return Status(Code::invalid,
                  "pack=kivi stores 32 values of a token together, but a head of this model has " +
                      std::to_string(value_dim) + "; use pack=f16");
  }
  int64_t key_bytes(int32_t dim) const override { return dim * code_bytes(options_.bits, kPackTokens); }
  int64_t value_bytes(int32_t dim) const override { return kPackTokens * code_bytes(options_.bits, dim); }

  void encode_keys(std::span<const float> rows, int32_t dim, std::byte* out) const override {
    for (int32_t channel = 0; channel < dim; ++channel) {
      for (int32_t t = 0; t < kPackTokens; t += int32_t(kCodeColumns), out += block())
        encode_codes(options_.bits, &rows[size_t(t * dim + channel)], size_t(dim), out);
    }
  }
  void encode_values(std::span<const float> rows, int32_t dim, std::byte* out) const override {
    for (int32_t at = 0; at < kPackTokens * dim; at += int32_t(kCodeColumns), out += block())
      encode_codes(options_.bits, &rows[size_t(at)], 1, out);
  }
  void decode_keys(const std::byte* from, int32_t dim, float* rows) const override {
    for (int32_t channel = 0; channel < dim; ++channel) {
      for (int32_t t = 0; t < kPackTokens; t += int32_t(kCodeColumns), from += block())
        decode_codes(options_.bits, from, size_t(dim), rows + t * dim + channel);
    }
  }
  void decode_values(const std::byte* from, int32_t dim, float* rows) const override {
    for (int32_t at = 0; at < kPackTokens * dim; at += int32_t(kCodeColumns), from += block())
      decode_codes(options_.bits, from, 1, rows + at);
  }

  // A channel is a row of 64 columns, which are tokens, and the query has a factor for it.
  void score(const std::byte* keys, int32_t dim, Queries queries, float factor,
             float* scores) const override {
    for (int32_t i = 0; i < queries.count * kPackTokens; ++i) scores[i] = 0;
    mix_codes()({keys, size_t(dim), size_t(kPackTokens)}, {queries.rows, size_t(dim)}, size_t(queries.count),
                scores, kAttendTile);
    kernels().scale(scores, factor, size_t(queries.count) * kAttendTile);
  }
  void mix(const std::byte* values, int32_t dim, const float* shares, int32_t count,
           float* out) const override {
    mix_codes()({values, size_t(kPackTokens), size_t(dim)}, {shares, kAttendTile}, size_t(count), out,
                size_t(dim));
  }

 private:
  int64_t block() const { return code_bytes(options_.bits, int64_t(kCodeColumns)); }
  decltype(Kernels::mix_codes2) mix_codes() const {
    return options_.bits == 2 ? kernels().mix_codes2 : kernels().mix_codes4;
  }

  Options options_;
};

}  // namespace

Made kivi(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("bits", options.bits, 2, 4)
          .read("residual", options.residual, 0, 1 << 20)
          .done());
  if (options.bits == 3) return Status(Code::invalid, "pack=kivi has 2 or 4 bits");
  return std::unique_ptr<PagePack>(new Kivi(options));
}

}  // namespace varve::page_pack

// lorc: low-rank compensation (ZeroQuant-V2, Yao et al. 2023). What rounding left of a weight, E, is nearly
// given back by a product of two narrow matrices, named as those of adapters: x + (x A^T) B^T. B spans what
// E mostly does to inputs of the size that was seen, found by powers of E E^T on a few directions. By default
// the rank is a 64th of the width, in f16: half a bit a weight. Needs room for E.
#include <algorithm>
#include <cmath>

#include "learn/compress/method/companion.h"
#include "learn/compress/method/principal.h"
#include "math/kernel/kernel.h"

namespace varve::compress {
namespace {

constexpr int kPowers = 6;

struct Factors {            // E ~ b a
  std::vector<float> a, b;  // [rank][cols], [rank][rows]: b is kept with its columns one after another
};

class Lorc : public Compressor {
 public:
  explicit Lorc(int rank) : rank_(rank) {}
  Sight sight() const override { return Sight::moments; }

  Status plan(Draft& draft) override {
    const Codec* f16 = TRY(codec_named("f16"));
    if (!draft.companions().empty())
      return Status(Code::invalid, "one method that gives back errors, not two: lorc after another");
    for (size_t i = 0; i < draft.weights().size(); ++i) {
      const Weight& weight = draft.weights()[i];
      if (!takes_companions(weight)) continue;
      narrowed_.push_back(i);
      const int32_t rank = rank_of(weight);
      draft.companions().push_back({weight.role() + ".weight.lora_a", f16, rank, weight.cols()});
      draft.companions().push_back({weight.role() + ".weight.lora_b", f16, weight.rows(), rank});
    }
    return {};
  }

  Status finish(const Draft& draft, CompressedFile& file, Ledger& ledger) override {
    for (size_t i = 0; i < narrowed_.size(); ++i) {
      const Weight& weight = draft.weights()[narrowed_[i]];
      const Factors factors =
          TRY(factor(draft, file, narrowed_[i], ledger).with("the error of " + weight.role()));
      const auto rank = size_t(rank_of(weight)), rows = size_t(weight.rows());
      std::vector<float> across(factors.b.size());
      for (size_t r = 0; r < rank; ++r) {
        for (size_t row = 0; row < rows; ++row) across[row * rank + r] = factors.b[r * rows + row];
      }
      TRY(write(file, 2 * i, factors.a));
      TRY(write(file, 2 * i + 1, across));
    }
    return {};
  }

 private:
  int32_t rank_of(const Weight& weight) const {
    return rank_ > 0 ? std::min({rank_, weight.rows(), weight.cols()})
                     : std::max(1, std::min(weight.rows(), weight.cols()) / 64);
  }
  static Status write(CompressedFile& file, size_t companion, const std::vector<float>& values) {
    std::vector<std::byte> bytes(values.size() * 2);
    codec_named("f16").value()->encode(values, bytes);
    return file.write_companion(companion, 0, bytes);
  }

  Result<Factors> factor(const Draft& draft, const CompressedFile& file, size_t place, Ledger& ledger) const {
    const Weight& weight = draft.weights()[place];
    const auto rows = size_t(weight.rows()), cols = size_t(weight.cols()), rank = size_t(rank_of(weight));
    const auto importance = TRY(importance_of(draft, weight));
    Buffer room = TRY(Buffer::make(ledger, Tag::scratch, int64_t(rows * cols) * 4));
    auto* error = reinterpret_cast<float*>(room.bytes().data());
    TRY(each_error(draft, file, place,
                   [&](int32_t first, std::span<const float>, std::span<float> errors) -> Status {
                     std::copy(errors.begin(), errors.end(), error + size_t(first) * cols);
                     return {};
                   }));
    Factors out{std::vector<float>(rank * cols), std::vector<float>(rank * rows)};
    for (size_t i = 0; i < out.b.size(); ++i)  // directions that no error is likely to miss
      out.b[i] = float((i * 2654435761u >> 7) % 1000) / 500.f - 1.f;
    for (int power = 0; power <= kPowers; ++power) {
      orthonormal(out.b, rows);
      std::fill(out.a.begin(), out.a.end(), 0.f);
      draft.ops().parallel(int64_t(rank), [&](int64_t r) {
        float *a = out.a.data() + size_t(r) * cols, *b = out.b.data() + size_t(r) * rows;
        kernels().mix(b, rows, error, cols, cols, a);
        if (power == kPowers) return;
        std::vector<float> weighed(cols);
        for (size_t i = 0; i < cols; ++i) weighed[i] = a[i] * importance[i];
        for (size_t row = 0; row < rows; ++row)
          b[row] = kernels().dot(error + row * cols, weighed.data(), nullptr, cols);
      });
    }
    return out;
  }

  int rank_;
  std::vector<size_t> narrowed_;
};

}  // namespace

Made lorc(const Spec& spec) {
  int rank = 0;
  TRY(OptionReader(spec).read("rank", rank, 0, 4096).done());
  return std::unique_ptr<Compressor>(new Lorc(rank));
}

}  // namespace varve::compress

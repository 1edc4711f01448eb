// gptq (Frantar et al. 2023): the values of a row are rounded one after another, and those that are left take
// over what the error did to the row's products, by the second moments of its inputs. Scales are chosen where
// a group begins, from the values as they then are. Needs a calibration text and cols^2 floats a weight;
// costs rows * cols^2 products. A weight whose inputs nobody counted is another method's.
#include <array>
#include <cmath>

#include "learn/compress/compressor.h"
#include "learn/compress/method/inverse.h"
#include "learn/compress/method/round.h"
#include "math/kernel/kernel.h"

namespace varve::compress {
namespace {

constexpr size_t kSpan = 256;  // columns whose errors are passed on at once to all behind them

class Corrected : public Rounder {
 public:
  // factor: U of the inverse U^T U of the second moments, upper, [cols][cols].
  Corrected(const Codec& codec, const Grid& grid, Buffer factor, size_t cols)
      : codec_(codec), grid_(grid), factor_(std::move(factor)), cols_(cols), importance_(cols) {
    for (size_t i = 0; i < cols; ++i) importance_[i] = 1 / (row(i)[i] * row(i)[i]);
  }

  void round(std::span<const float> rows, std::span<std::byte> bytes) const override {
    const size_t row_bytes = size_t(codec_.bytes_for(int64_t(cols_)));
    std::vector<float> left(cols_);
    for (size_t i = 0; i < rows.size() / cols_; ++i) {
      std::copy_n(rows.begin() + ptrdiff_t(i * cols_), cols_, left.begin());
      one_row(left, bytes.subspan(i * row_bytes, row_bytes));
    }
  }

 private:
  const float* row(size_t i) const {
    return reinterpret_cast<const float*>(factor_.bytes().data()) + i * cols_;
  }

  void one_row(std::span<float> x, std::span<std::byte> bytes) const {
    std::array<float, kSpan> errors;
    const size_t values = codec_.block_values();
    for (size_t first = 0; first < cols_; first += kSpan) {
      const size_t end = std::min(first + kSpan, cols_);
      for (size_t at = first; at < end; at += values)
        one_block(x, at, end, bytes.data() + at / values * codec_.block_bytes(),
                  {errors.data() + at - first, values});
      if (end < cols_)
        kernels().mix(errors.data(), end - first, row(first) + end, cols_, cols_ - end, x.data() + end);
    }
  }

  // Columns [at, at + errors.size()); those before `end` hear of each error at once.
  void one_block(std::span<float> x, size_t at, size_t end, std::byte* block, std::span<float> errors) const {
    const size_t values = errors.size();
    std::array<codec::Line, 16> lines;
    const auto own = std::span(lines).first(values / grid_.group);
    const auto weights = std::span(importance_).subspan(at, values);
    fit_block(grid_, x.subspan(at, values), weights, block, own);
    codec::Line largest;
    for (const codec::Line& line : own) {
      if (std::abs(line.scale) > std::abs(largest.scale)) largest.scale = line.scale;
      largest.min = std::max(largest.min, line.min);
    }
    for (size_t i = 0; i < values; ++i) {
      const size_t group = i / grid_.group, column = at + i;
      if (i > 0 && i % grid_.group == 0) {
        lines[group] = fit_within(grid_, group, x.subspan(column, grid_.group),
                                  weights.subspan(i, grid_.group), largest, block);
      }
      const codec::Line& line = lines[group];
      const uint8_t code = code_on(grid_, line, x[column]);
      grid_.set_code(i, code, block);
      const float value = line.scale * grid_.levels[code] - line.min;
      errors[i] = (value - x[column]) / row(column)[column];
      kernels().mix(&errors[i], 1, row(column) + column + 1, cols_, end - column - 1, x.data() + column + 1);
    }
  }

  const Codec& codec_;
  const Grid& grid_;
  Buffer factor_;
  size_t cols_;
  std::vector<float> importance_;
};

class Gptq : public Compressor {
 public:
  explicit Gptq(float damp) : damp_(damp) {}
  Sight sight() const override { return Sight::gram; }
  Result<std::unique_ptr<Rounder>> rounder(const Weight& weight, const Seen& seen, Ops& ops,
                                           Ledger& ledger) const override {
    const Grid* grid = grid_of(*weight.codec);
    if (grid == nullptr || seen.gram.size() == 0) return std::unique_ptr<Rounder>();
    const auto cols = size_t(weight.cols());
    Buffer factor = TRY(inverse_factor({seen.gram_values(), cols * cols}, cols, damp_, ops, ledger)
                            .with("inverting the second moments of " + weight.role()));
    return std::unique_ptr<Rounder>(new Corrected(*weight.codec, *grid, std::move(factor), cols));
  }

 private:
  float damp_;
};

}  // namespace

Made gptq(const Spec& spec) {
  float damp = 0.01f;
  TRY(OptionReader(spec).read("damp", damp, 1e-5f, 1.f).done());
  return std::unique_ptr<Compressor>(new Gptq(damp));
}

}  // namespace varve::compress

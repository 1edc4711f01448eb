#include "learn/compress/method/corrected.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "learn/compress/method/inverse.h"
#include "math/kernel/kernel.h"

namespace varve {
namespace {

constexpr size_t kSpan = 256;  // columns whose errors are passed on at once to all behind them

}  // namespace

Corrected::Corrected(const Codec& codec, const Grid& grid, Buffer factor, size_t cols)
    : codec_(codec), grid_(grid), factor_(std::move(factor)), cols_(cols), importance_(cols) {
  for (size_t i = 0; i < cols; ++i) importance_[i] = 1 / (behind(i)[i] * behind(i)[i]);
}

void Corrected::round(std::span<const float> rows, std::span<std::byte> bytes) const {
  const size_t row_bytes = size_t(codec_.bytes_for(int64_t(cols_)));
  std::vector<float> left(cols_);
  RowCodes codes{std::vector<codec::Line>(cols_ / grid_.group), std::vector<uint8_t>(cols_)};
  for (size_t i = 0; i < rows.size() / cols_; ++i) {
    std::copy_n(rows.begin() + ptrdiff_t(i * cols_), cols_, left.begin());
    row(left, bytes.subspan(i * row_bytes, row_bytes), codes);
  }
}

void Corrected::row(std::span<float> x, std::span<std::byte> bytes, RowCodes& into) const {
  std::array<float, kSpan> errors;
  const size_t values = codec_.block_values();
  for (size_t first = 0; first < cols_; first += kSpan) {
    const size_t end = std::min(first + kSpan, cols_);
    for (size_t at = first; at < end; at += values)
      block(x, at, end, bytes.data() + at / values * codec_.block_bytes(), into,
            {errors.data() + at - first, values});
    if (end < cols_)
      kernels().mix(errors.data(), end - first, behind(first) + end, cols_, cols_ - end, x.data() + end);
  }
}

// Columns [at, at + errors.size()); those before `end` hear of each error at once.
void Corrected::block(std::span<float> x, size_t at, size_t end, std::byte* block, RowCodes& into,
                      std::span<float> errors) const {
  const size_t values = errors.size();
  const auto lines = std::span(into.lines).subspan(at / grid_.group, values / grid_.group);
  const auto weights = std::span(importance_).subspan(at, values);
  fit_block(grid_, x.subspan(at, values), weights, block, lines);
  codec::Line largest;
  for (const codec::Line& line : lines) {
    if (std::abs(line.scale) > std::abs(largest.scale)) largest.scale = line.scale;
    largest.min = std::max(largest.min, line.min);
  }
  Grid own = grid_.of(0, block);
  for (size_t i = 0; i < values; ++i) {
    const size_t group = i / grid_.group, column = at + i;
    if (i % grid_.group == 0) own = grid_.of(group, block);
    if (i > 0 && i % grid_.group == 0) {
      lines[group] = fit_within(grid_, group, x.subspan(column, grid_.group), weights.subspan(i, grid_.group),
                                largest, block);
    }
    const codec::Line& line = lines[group];
    const uint8_t code = into.codes[column] = code_on(own, line, x[column]);
    grid_.set_code(i, code, block);
    const float value = line.scale * own.levels[code] - line.min;
    errors[i] = (value - x[column]) / behind(column)[column];
    kernels().mix(&errors[i], 1, behind(column) + column + 1, cols_, end - column - 1, x.data() + column + 1);
  }
}

Result<std::unique_ptr<Corrected>> make_corrected(const Weight& weight, const Seen& seen, float damp,
                                                  Ops& ops, Ledger& ledger) {
  const Grid* grid = grid_of(*weight.codec);
  if (grid == nullptr || seen.gram.size() == 0) return std::unique_ptr<Corrected>();
  const auto cols = size_t(weight.cols());
  Buffer factor = TRY(inverse_factor({seen.gram_values(), cols * cols}, cols, damp, ops, ledger)
                          .with("inverting the second moments of " + weight.role()));
  return std::make_unique<Corrected>(*weight.codec, *grid, std::move(factor), cols);
}

}  // namespace varve

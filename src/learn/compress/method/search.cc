// search: for each group of values the scale (and min) whose rounded values are nearest, as importance
// matrices of llama.cpp: an error counts by the mean square of the input that it meets. Without a calibration
// text all inputs count alike. Costs some dozens of encodings.
#include <cmath>

#include "learn/compress/compressor.h"
#include "learn/compress/method/round.h"

namespace varve::compress {
namespace {

class Searched : public Rounder {
 public:
  Searched(const Codec& codec, const Grid& grid, std::vector<float> seen)
      : codec_(codec), grid_(grid), seen_(std::move(seen)) {}

  void round(std::span<const float> rows, std::span<std::byte> bytes) const override {
    const size_t values = codec_.block_values(), cols = seen_.size();
    std::vector<float> importance(values);
    std::vector<codec::Line> lines(values / grid_.group);
    std::byte* block = bytes.data();
    for (size_t at = 0; at < rows.size(); at += values, block += codec_.block_bytes()) {
      const auto x = rows.subspan(at, values);
      // Large values of a row are worth more than their square: they are what its products depend on.
      double mean = 0;
      for (const float value : x) mean += double(value) * double(value) / double(values);
      for (size_t i = 0; i < values; ++i)
        importance[i] = seen_[at % cols + i] * std::sqrt(float(mean) + x[i] * x[i]);
      fit_block(grid_, x, importance, block, lines);
      write_codes(grid_, lines, x, block);
    }
  }

 private:
  const Codec& codec_;
  const Grid& grid_;
  std::vector<float> seen_;
};

class Search : public Compressor {
 public:
  explicit Search(bool looks) : looks_(looks) {}
  Sight sight() const override { return looks_ ? Sight::moments : Sight::nothing; }
  Result<std::unique_ptr<Rounder>> rounder(const Weight& weight, Seen& seen, Ops&, Ledger&) const override {
    const Grid* grid = grid_of(*weight.codec);
    if (grid == nullptr) return std::unique_ptr<Rounder>();
    std::vector<float> importance(size_t(weight.cols()), 1.f);
    if (looks_ && seen.rows > 0) importance = seen.square;
    return std::unique_ptr<Rounder>(new Searched(*weight.codec, *grid, std::move(importance)));
  }

 private:
  bool looks_;
};

}  // namespace

Made search(const Spec& spec) {
  int looks = 1;
  TRY(OptionReader(spec).read("calibrated", looks, 0, 1).done());
  return std::unique_ptr<Compressor>(new Search(looks == 1));
}

}  // namespace varve::compress

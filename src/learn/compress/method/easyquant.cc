// easyquant (Tang et al. 2024), which needs no text: of each row, values further from its mean than some
// standard deviations are outliers, no more than one of 128. Each group's range is where the squared error of
// all others is least, and what is lost of an outlier lies beside the weight, exactly (in half precision);
// where there is none, what is lost of the worst value. 0.19 bits a weight more than the format (codec top1).
#include <cmath>

#include "learn/compress/method/companion.h"
#include "learn/compress/method/round.h"
#include "run/weights/stacked.h"

namespace varve::compress {
namespace {

bool has_outliers(const Weight& weight, const Codec& beside) {
  return takes_companions(weight) && weight.cols() % int32_t(beside.block_values()) == 0;
}

// Rounds a row as if its outliers were not there.
class Ranged : public Rounder {
 public:
  Ranged(const Codec& codec, const Grid& grid, size_t cols, size_t among, float sigmas)
      : codec_(codec), grid_(grid), cols_(cols), among_(among), sigmas_(sigmas) {}

  void round(std::span<const float> rows, std::span<std::byte> bytes) const override {
    const size_t values = codec_.block_values();
    std::vector<float> others(cols_), importance(cols_);
    std::vector<codec::Line> lines(values / grid_.group);
    std::byte* block = bytes.data();
    for (size_t at = 0; at < rows.size(); at += cols_) {
      const auto row = rows.subspan(at, cols_);
      set_apart(row, others, importance);
      for (size_t i = 0; i < cols_; i += values, block += codec_.block_bytes()) {
        fit_block(grid_, std::span(others).subspan(i, values), std::span(importance).subspan(i, values),
                  block, lines);
        write_codes(grid_, lines, row.subspan(i, values), block);
      }
    }
  }

 private:
  void set_apart(std::span<const float> row, std::vector<float>& others,
                 std::vector<float>& importance) const {
    others.assign(row.begin(), row.end()), importance.assign(cols_, 1.f);
    double sum = 0, squares = 0;
    for (const float one : row) sum += double(one), squares += double(one) * double(one);
    const double mean = sum / double(cols_), variance = squares / double(cols_) - mean * mean;
    const double far = double(sigmas_) * std::sqrt(std::max(variance, 0.0));
    for (size_t at = 0; among_ > 0 && at < cols_; at += among_) {
      size_t worst = at;
      for (size_t i = at; i < at + among_; ++i) {
        if (std::abs(double(row[i]) - mean) > std::abs(double(row[worst]) - mean)) worst = i;
      }
      if (!(std::abs(double(row[worst]) - mean) > far)) continue;
      others[worst] = row[worst ^ 1], importance[worst] = 0;  // its neighbour stretches no range
    }
  }

  const Codec& codec_;
  const Grid& grid_;
  size_t cols_, among_;  // 0: of this weight outliers are not kept
  float sigmas_;
};

class EasyQuant : public Compressor {
 public:
  explicit EasyQuant(float sigmas) : sigmas_(sigmas), beside_(*codec_named("top1").value()) {}

  Status plan(Draft& draft) override {
    if (!draft.companions().empty())
      return Status(Code::invalid, "one method that gives back errors, not two: easyquant after another");
    for (size_t i = 0; i < draft.weights().size(); ++i) {
      const Weight& weight = draft.weights()[i];
      if (!has_outliers(weight, beside_)) continue;
      kept_.push_back(i);
      draft.companions().push_back(
          {weight.role() + std::string(kMore) + "1", &beside_, weight.rows(), weight.cols()});
    }
    return {};
  }
  Result<std::unique_ptr<Rounder>> rounder(const Weight& weight, Seen&, Ops&, Ledger&) const override {
    const Grid* grid = grid_of(*weight.codec);
    if (grid == nullptr) return std::unique_ptr<Rounder>();
    const size_t among = has_outliers(weight, beside_) ? beside_.block_values() : 0;
    return std::unique_ptr<Rounder>(new Ranged(*weight.codec, *grid, size_t(weight.cols()), among, sigmas_));
  }
  Status finish(const Draft& draft, CompressedFile& file, Ledger&) override {
    std::vector<std::byte> bytes;
    for (size_t i = 0; i < kept_.size(); ++i) {
      const int64_t row_bytes = beside_.bytes_for(draft.weights()[kept_[i]].cols());
      TRY(each_error(draft, file, kept_[i],
                     [&](int32_t first, std::span<const float>, std::span<float> errors) -> Status {
                       bytes.resize(size_t(beside_.bytes_for(int64_t(errors.size()))));
                       beside_.encode(errors, bytes);
                       return file.write_companion(i, first * row_bytes, bytes);
                     }));
    }
    return {};
  }

 private:
  float sigmas_;
  const Codec& beside_;
  std::vector<size_t> kept_;
};

}  // namespace

Made easyquant(const Spec& spec) {
  float sigmas = 3;
  TRY(OptionReader(spec).read("sigmas", sigmas, 0.f, 100.f).done());
  return std::unique_ptr<Compressor>(new EasyQuant(sigmas));
}

}  // namespace varve::compress

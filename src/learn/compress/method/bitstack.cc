// bitstack: residual blocks (BitStack, Wang et al. 2024). What rounding left of a weight is kept in blocks of
// one bit a value beside it, each halving the error that is left; a process takes as many, the worthiest
// first, as its budget has room for, and drops them when it shrinks (run/weights/stacked.h). Theirs are signs
// times a matrix of low rank; here a scale for 128 values (q1_0), which costs narrow matrices less. A text
// says which blocks are worth most; 1.13 bits a block and weight.
#include "learn/compress/method/companion.h"
#include "run/weights/stacked.h"

namespace varve::compress {
namespace {

class BitStack : public Compressor {
 public:
  explicit BitStack(int blocks) : blocks_(blocks) {}
  Sight sight() const override { return Sight::moments; }

  Status plan(Draft& draft) override {
    codec_ = TRY(codec_named("q1_0"));
    if (!draft.companions().empty())
      return Status(Code::invalid, "one method that gives back errors, not two: bitstack after another");
    for (size_t i = 0; i < draft.weights().size(); ++i) {
      const Weight& weight = draft.weights()[i];
      if (!takes_companions(weight) || weight.cols() % int32_t(codec_->block_values()) != 0) continue;
      stacked_.push_back(i);
      for (int block = 1; block <= blocks_; ++block)
        draft.companions().push_back({weight.role() + std::string(kMore) + std::to_string(block), codec_,
                                      weight.rows(), weight.cols()});
    }
    if (stacked_.empty()) return {};
    const auto count = int32_t(draft.companions().size());
    draft.companions().push_back({std::string(kMoreWorth), TRY(codec_named("f32")), 1, count});
    return {};
  }

  Status finish(const Draft& draft, CompressedFile& file, Ledger&) override {
    std::vector<float> worth;
    for (size_t i = 0; i < stacked_.size(); ++i) {
      const auto own = TRY(stack(draft, file, i));
      worth.insert(worth.end(), own.begin(), own.end());
    }
    if (worth.empty()) return {};
    return file.write_companion(worth.size(), 0, std::as_bytes(std::span(worth)));
  }

 private:
  // Writes the blocks of a weight; what each takes of the error of its products, a byte.
  Result<std::vector<float>> stack(const Draft& draft, CompressedFile& file, size_t place) const {
    const Weight& weight = draft.weights()[stacked_[place]];
    const auto importance = TRY(importance_of(draft, weight));
    const auto blocks = size_t(blocks_), cols = importance.size();
    const int64_t row_bytes = codec_->bytes_for(int64_t(cols));
    std::vector<double> left(blocks + 1);
    double all = 0;
    const auto weigh = [&](std::span<const float> values) {
      double sum = 0;
      for (size_t i = 0; i < values.size(); ++i)
        sum += double(importance[i % cols]) * double(values[i]) * double(values[i]);
      return sum;
    };
    std::vector<std::byte> bytes;
    std::vector<float> signs;
    TRY(each_error(draft, file, stacked_[place],
                   [&](int32_t first, std::span<const float> rows, std::span<float> errors) -> Status {
                     bytes.resize(rows.size() / cols * size_t(row_bytes)), signs.resize(rows.size());
                     all += weigh(rows), left[0] += weigh(errors);
                     for (size_t block = 0; block < blocks; ++block) {
                       codec_->encode(errors, bytes);
                       codec_->decode(bytes, signs);
                       for (size_t i = 0; i < errors.size(); ++i) errors[i] -= signs[i];
                       left[block + 1] += weigh(errors);
                       TRY(file.write_companion(place * blocks + block, first * row_bytes, bytes));
                     }
                     return {};
                   }));
    std::vector<float> worth;
    const double size = all * double(row_bytes) * weight.rows();
    for (size_t block = 0; block < blocks; ++block)
      worth.push_back(size > 0 ? float((left[block] - left[block + 1]) / size) : 0);
    return worth;
  }

  int blocks_;
  const Codec* codec_ = nullptr;
  std::vector<size_t> stacked_;
};

}  // namespace

Made bitstack(const Spec& spec) {
  int blocks = 3;
  TRY(OptionReader(spec).read("blocks", blocks, 1, 16).done());
  return std::unique_ptr<Compressor>(new BitStack(blocks));
}

}  // namespace varve::compress

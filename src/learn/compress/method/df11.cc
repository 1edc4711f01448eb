// df11: DFloat11 (Zhang et al. 2025): bf16 weights in fewer bytes, and every bit comes back
// (math/codec/df11.h). Rows of whole groups of 64 values are coded; a weight that would not become smaller
// stays bf16. Needs nothing; costs a pass over the weights.
#include <algorithm>
#include <atomic>

#include "learn/compress/draft.h"
#include "math/codec/df11.h"

namespace varve::compress {
namespace {

class Exactly : public Rounder {
 public:
  Exactly(const Codec& codec, std::atomic<bool>& lost) : codec_(codec), lost_(lost) {}
  void round(std::span<const float> rows, std::span<std::byte> bytes) const override {
    const size_t cols = codec_.block_values();
    for (size_t at = 0; at < rows.size(); at += cols) {
      const int64_t others = Df11::others(rows.subspan(at, cols));
      if (Df11::row_bytes(int64_t(cols), others) > int64_t(codec_.block_bytes())) lost_ = true;
    }
    codec_.encode(rows, bytes);
  }

 private:
  const Codec& codec_;
  std::atomic<bool>& lost_;
};

class Lossless : public Compressor {
 public:
  Status plan(Draft& draft) override {
    GgufValue::Strings names;
    GgufValue::Ints columns;
    for (Weight& weight : draft.weights()) {
      if (weight.rounds && weight.codec->name() == "bf16" && weight.cols() % Df11::kGroup == 0)
        TRY(code(draft, weight));
      if (weight.own == nullptr && (weight.rounds || weight.from.own == nullptr)) continue;
      names.push_back(weight.name), columns.push_back(weight.cols());
    }
    if (names.empty()) return {};
    draft.metadata()[kCodedTensors] = {GgufType::string, true, std::move(names)};
    draft.metadata()[kCodedColumns] = {GgufType::u32, true, std::move(columns)};
    return {};
  }

  Result<std::unique_ptr<Rounder>> rounder(const Weight& weight, Seen&, Ops&, Ledger&) const override {
    if (weight.own == nullptr || weight.codec != weight.own.get()) return std::unique_ptr<Rounder>();
    return std::unique_ptr<Rounder>(new Exactly(*weight.codec, lost_));
  }

  Status finish(const Draft&, CompressedFile&, Ledger&) override {
    return lost_ ? Status(Code::invalid, "df11 goes behind what changes weights: make it the last word")
                 : Status();
  }

 private:
  // A row takes what the one with most others needs.
  static Status code(const Draft& draft, Weight& weight) {
    const auto cols = size_t(weight.cols());
    std::atomic<int64_t> most = 0;
    TRY(draft.each(weight, [&](int32_t, std::span<const float> rows) -> Status {
      draft.ops().parallel(int64_t(rows.size() / cols), [&](int64_t row) {
        const int64_t others = Df11::others(rows.subspan(size_t(row) * cols, cols));
        for (int64_t old = most; old < others && !most.compare_exchange_weak(old, others);) {
        }
      });
      return {};
    }));
    const int64_t bytes = Df11::row_bytes(weight.cols(), most);
    if (bytes >= weight.codec->bytes_for(weight.cols())) return {};
    weight.own = TRY(Df11::make(weight.cols(), bytes));
    weight.codec = weight.own.get();
    return {};
  }

  mutable std::atomic<bool> lost_ = false;
};

}  // namespace

Made df11(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Compressor>(new Lossless);
}

}  // namespace varve::compress

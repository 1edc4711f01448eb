// wanda: pruning by size times input (Sun et al. 2024). In each row the values whose size times the root mean
// square of the input that they meet is least become 0: as many of each block as a sparse format drops
// (s4_0), a share of the row, two of every four, or whole groups as GQSA's. Needs a text. Dense formats store
// zeros in as many bits as all others: with them this saves no byte and is there to be compared by.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "learn/compress/draft.h"

namespace varve::compress {
namespace {

constexpr double kShare = 0.3;

class Wanda : public Compressor {
 public:
  Wanda(float share, int group, bool two_of_four)
      : share_(share), group_(size_t(group)), two_of_four_(two_of_four) {}
  Sight sight() const override { return Sight::moments; }

  Status plan(Draft& draft) override {
    if (!draft.calibrated())
      return Status(Code::invalid, "wanda needs a text to calibrate by: --calibrate TEXT");
    for (const Weight& weight : draft.weights()) {
      if (!weight.rounds || weight.from.stack > 1 || !weight.role().starts_with("blk.")) continue;
      Seen seen = TRY(draft.seen(weight));
      if (seen.rows > 0) squares_[weight.role()] = std::move(seen.square);
    }
    return {};
  }

  void change(const Weight& weight, int32_t, std::span<float> rows) const override {
    const auto found = squares_.find(weight.role());
    if (found == squares_.end()) return;
    const std::vector<float>& squares = found->second;
    const size_t cols = squares.size();
    const auto [among, share] = choice(*weight.codec, cols);
    if (cols % among != 0 || among % group_ != 0) return;
    std::vector<double> scores(among / group_);
    std::vector<size_t> order(scores.size());
    for (size_t at = 0; at < rows.size(); at += among) {
      std::fill(scores.begin(), scores.end(), 0.0);
      for (size_t i = 0; i < among; ++i)
        scores[i / group_] += double(rows[at + i]) * double(rows[at + i]) * double(squares[(at + i) % cols]);
      std::iota(order.begin(), order.end(), size_t(0));
      const auto gone = size_t(std::lround(double(order.size()) * share));
      std::nth_element(order.begin(), order.begin() + ptrdiff_t(gone), order.end(), [&](size_t a, size_t b) {
        return scores[a] != scores[b] ? scores[a] < scores[b] : a < b;
      });
      for (size_t i = 0; i < gone; ++i)
        std::fill_n(rows.begin() + ptrdiff_t(at + order[i] * group_), group_, 0.f);
    }
  }

 private:
  struct Choice {  // a share of so many values
    size_t among;
    double share;
  };
  Choice choice(const Codec& codec, size_t cols) const {
    if (two_of_four_) return {4, 0.5};
    if (share_ >= 0 || group_ > 1 || !codec.sparse()) return {cols, share_ < 0 ? kShare : double(share_)};
    return {codec.block_values(), 1 - double(codec.kept_values()) / double(codec.block_values())};
  }

  float share_;  // less than 0: nobody said
  size_t group_;
  bool two_of_four_;
  std::map<std::string, std::vector<float>, std::less<>> squares_;
};

}  // namespace

Made wanda(const Spec& spec) {
  float share = -1;
  int group = 1, two_of_four = 0;
  TRY(OptionReader(spec)
          .read("share", share, 0.f, 0.99f)
          .read("group", group, 1, 256)
          .read("two_of_four", two_of_four, 0, 1)
          .done());
  if (two_of_four == 1 && group > 1) return Status(Code::invalid, "two of four, or groups; not both");
  return std::unique_ptr<Compressor>(new Wanda(share, group, two_of_four == 1));
}

}  // namespace varve::compress

// omniquant: learned clipping (Shao et al. 2024). Their idea within GGUF's formats: each group's scale and
// min, which say where it is clipped, go where the error of the weight's products over the calibration inputs
// is least, and so does each value's code; by exact steps in turn (the error is a parabola in each) instead
// of gradients, and from gptq's answer on, so that it never ends behind it. Costs as gptq, and again about
// half.
#include <algorithm>

#include "learn/compress/method/corrected.h"
#include "math/kernel/kernel.h"

namespace varve::compress {
namespace {

// A row on its way: error = e^T H e, with e = values - wanted.
struct Descent {
  const Grid& grid;
  const float* gram;  // H
  size_t cols;
  std::span<const float> wanted;
  RowCodes& at;
  std::vector<std::span<const float>> levels;  // of each group
  std::vector<float> values, slopes;           // H e

  float level(size_t i) const { return levels[i / grid.group][at.codes[i]]; }
  float value(size_t i) const {
    const codec::Line& line = at.lines[i / grid.group];
    return line.scale * level(i) - line.min;
  }
  void begin() {
    values.resize(cols), slopes.resize(cols);
    for (size_t i = 0; i < cols; ++i) values[i] = value(i), slopes[i] = values[i] - wanted[i];
    std::vector<float> errors = slopes;
    std::fill(slopes.begin(), slopes.end(), 0.f);
    kernels().mix(errors.data(), cols, gram, cols, cols, slopes.data());
  }
  void move(size_t i, float to) {
    const float by = to - values[i];
    values[i] = to;
    kernels().mix(&by, 1, gram + i * cols, cols, cols, slopes.data());
  }

  // The codes of a group stay, its line moves.
  bool learn_line(size_t group, std::byte* block) {
    const size_t first = group * grid.group, in_block = group % groups_a_block;
    double ll = 0, l1 = 0, oneone = 0, l = 0, one = 0;  // of H and the slopes, along levels and ones
    for (size_t i = 0; i < grid.group; ++i) {
      const double own_level = double(level(first + i)), slope = double(slopes[first + i]);
      l += own_level * slope, one += slope;
      for (size_t j = 0; j < grid.group; ++j) {
        const double h = double(gram[(first + i) * cols + first + j]), other = double(level(first + j));
        ll += h * own_level * other, l1 += h * own_level, oneone += h;
      }
    }
    codec::Line& own = at.lines[group];
    codec::Line goal = own;
    const double spread = ll * oneone - l1 * l1;
    if (grid.mins && spread > 1e-6 * ll * oneone) {
      goal.scale -= float((l * oneone - one * l1) / spread);
      goal.min += float((one * ll - l * l1) / spread);
    } else if (ll > 0) {
      goal.scale -= float(l / ll);
    }
    if (!grid.negative) goal.scale = std::max(goal.scale, 0.f), goal.min = std::max(goal.min, 0.f);
    const codec::Line got = grid.set_line(in_block, goal, block);
    const double by_scale = double(got.scale) - double(own.scale), by_min = double(own.min) - double(got.min);
    const double change = 2 * (by_scale * l + by_min * one) + by_scale * by_scale * ll +
                          2 * by_scale * by_min * l1 + by_min * by_min * oneone;
    if (!(change < 0)) {
      grid.set_line(in_block, own, block);
      return false;
    }
    own = got;
    for (size_t i = first; i < first + grid.group; ++i) move(i, value(i));
    return true;
  }
  bool learn_code(size_t i, const Grid& own) {
    const float weight = gram[i * cols + i];
    if (!(weight > 0)) return false;
    const uint8_t code = code_on(own, at.lines[i / grid.group], values[i] - slopes[i] / weight);
    if (code == at.codes[i]) return false;
    at.codes[i] = code;
    move(i, value(i));
    return true;
  }
  size_t groups_a_block = 1;
};

class Learned : public Rounder {
 public:
  Learned(const Weight& weight, std::unique_ptr<Corrected> first, Buffer gram, int rounds)
      : codec_(*weight.codec),
        grid_(*grid_of(codec_)),
        first_(std::move(first)),
        gram_(std::move(gram)),
        cols_(size_t(weight.cols())),
        rounds_(rounds) {}

  void round(std::span<const float> rows, std::span<std::byte> bytes) const override {
    const size_t row_bytes = size_t(codec_.bytes_for(int64_t(cols_)));
    RowCodes codes{std::vector<codec::Line>(cols_ / grid_.group), std::vector<uint8_t>(cols_)};
    std::vector<float> left(cols_);
    for (size_t i = 0; i < rows.size() / cols_; ++i) {
      const auto row = rows.subspan(i * cols_, cols_);
      std::copy(row.begin(), row.end(), left.begin());
      const auto own = bytes.subspan(i * row_bytes, row_bytes);
      first_->row(left, own, codes);
      learn(row, own, codes);
    }
  }

 private:
  void learn(std::span<const float> row, std::span<std::byte> bytes, RowCodes& codes) const {
    const auto* gram = reinterpret_cast<const float*>(gram_.bytes().data());
    Descent way{grid_, gram, cols_, row, codes, {}, {}, {}, codec_.block_values() / grid_.group};
    for (size_t group = 0; group < codes.lines.size(); ++group)
      way.levels.push_back(grid_
                               .of(group % way.groups_a_block,
                                   bytes.data() + group / way.groups_a_block * codec_.block_bytes())
                               .levels);
    way.begin();
    for (int round = 0; round < rounds_; ++round) {
      bool moved = false;
      for (size_t group = 0; group < codes.lines.size(); ++group) {
        std::byte* block = bytes.data() + group / way.groups_a_block * codec_.block_bytes();
        moved |= way.learn_line(group, block);
        const Grid own = grid_.of(group % way.groups_a_block, block);
        for (size_t i = group * grid_.group; i < (group + 1) * grid_.group; ++i)
          moved |= way.learn_code(i, own);
      }
      if (!moved) break;
    }
    for (size_t i = 0; i < cols_; ++i)
      grid_.set_code(i % codec_.block_values(), codes.codes[i],
                     bytes.data() + i / codec_.block_values() * codec_.block_bytes());
  }

  const Codec& codec_;
  const Grid& grid_;
  std::unique_ptr<Corrected> first_;
  Buffer gram_;
  size_t cols_;
  int rounds_;
};

class OmniQuant : public Compressor {
 public:
  OmniQuant(float damp, int rounds) : damp_(damp), rounds_(rounds) {}
  Sight sight() const override { return Sight::gram; }
  Result<std::unique_ptr<Rounder>> rounder(const Weight& weight, Seen& seen, Ops& ops,
                                           Ledger& ledger) const override {
    auto first = TRY(make_corrected(weight, seen, damp_, ops, ledger));
    if (first == nullptr) return std::unique_ptr<Rounder>();
    const auto cols = size_t(weight.cols());
    double mean = 0;
    for (size_t i = 0; i < cols; ++i) mean += double(seen.gram_values()[i * cols + i]) / double(cols);
    for (size_t i = 0; i < cols; ++i) seen.gram_values()[i * cols + i] += damp_ * float(mean);
    return std::unique_ptr<Rounder>(new Learned(weight, std::move(first), std::move(seen.gram), rounds_));
  }

 private:
  float damp_;
  int rounds_;
};

}  // namespace

Made omniquant(const Spec& spec) {
  float damp = 0.01f;
  int rounds = 4;
  TRY(OptionReader(spec).read("damp", damp, 1e-5f, 1.f).read("rounds", rounds, 1, 100).done());
  return std::unique_ptr<Compressor>(new OmniQuant(damp, rounds));
}

}  // namespace varve::compress

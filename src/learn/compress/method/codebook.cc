// codebook: JLCM's jointly learnt codebooks and mappings (Yvinec et al. 2024): the levels of each weight are
// learnt, four sets of them, of which each 32 values use one; by weighted k-means (a set and a scale for each
// group, then each level to the mean of what it stands for) over some values of the weight; theirs learns
// with the model. `search`, `gptq` and `omniquant` then round to what was learnt.
#include <algorithm>
#include <cmath>

#include "learn/compress/draft.h"
#include "math/codec/codebook.h"

namespace varve::compress {
namespace {

constexpr size_t kGroup = codec::kSetGroup, kSets = codec::kSets;
constexpr int64_t kSample = 131072;  // values that are looked at, of a weight
constexpr int kRounds = 12;

struct Sample {  // of one weight, in groups
  std::vector<float> values, importance;
};

Result<Sample> sample_of(const Draft& draft, const Weight& weight) {
  const auto cols = size_t(weight.cols());
  std::vector<float> square(cols, 1.f), row(cols);
  if (weight.from.stack == 1) {
    Seen seen = TRY(draft.seen(weight));
    if (seen.rows > 0) square = std::move(seen.square);
  }
  Sample sample;
  const int64_t step = std::max<int64_t>(1, weight.rows() * int64_t(cols) / kSample);
  for (int64_t i = 0; i < weight.rows(); i += step) {
    TRY(draft.read(weight, int32_t(i), row));
    sample.values.insert(sample.values.end(), row.begin(), row.end());
    sample.importance.insert(sample.importance.end(), square.begin(), square.end());
  }
  return sample;
}

struct Fit {
  float scale = 0;
  double error = 0;
};
// x ~ scale * level: the nearest codes for a scale, then the best scale for them, twice.
Fit fit(std::span<const float> set, const float* x, const float* importance, float scale) {
  Fit best{scale, INFINITY};
  for (int round = 0; round < 3; ++round) {
    const float inverse = codec::inverse_of(scale);
    double xl = 0, ll = 0, error = 0;
    for (size_t i = 0; i < kGroup; ++i) {
      const double level = double(set[codec::nearest_level(set, x[i] * inverse)]), w = double(importance[i]);
      const double off = double(x[i]) - double(scale) * level;
      xl += w * double(x[i]) * level, ll += w * level * level, error += w * off * off;
    }
    if (error < best.error) best = {scale, error};
    if (ll > 0) scale = float(std::max(xl / ll, 0.0));
  }
  return best;
}

class Learner {
 public:
  Learner(size_t bits, Sample sample)
      : levels_(size_t(1) << bits), sample_(std::move(sample)), groups_(sample_.values.size() / kGroup) {}

  std::vector<float> learn(Ops& ops) {
    begin();
    for (int round = 0; round < kRounds; ++round) {
      ops.parallel(int64_t(groups_ + 255) / 256, [&](int64_t task) {
        const size_t end = std::min(groups_, size_t(task + 1) * 256);
        for (size_t group = size_t(task) * 256; group < end; ++group) choose(group);
      });
      move();
    }
    settle();
    return sets_;
  }

 private:
  // Whole 128ths, the largest 127 of them: products in 8 bits are then exact.
  void settle() {
    float most = 0;
    for (float level : sets_) most = std::max(most, std::abs(level));
    if (!(most > 0)) return;
    for (float& level : sets_) level = std::nearbyint(level * (127 / most)) / 128;
  }
  // From the largest of a group, evenly; more densely about 0; and with more room on either side.
  void begin() {
    constexpr float kPowers[kSets] = {1, 1.4f, 1, 1}, kAside[kSets] = {0, 0, 0.15f, -0.15f};
    for (size_t set = 0; set < kSets; ++set) {
      for (size_t i = 0; i < levels_; ++i) {
        const float even = (2 * float(i) + 1) / float(levels_) - 1;
        const float level = std::copysign(std::pow(std::abs(even), kPowers[set]), even);
        sets_.push_back((1 - std::abs(kAside[set])) * level + kAside[set]);
      }
    }
    chosen_.resize(groups_), scales_.resize(groups_ * kSets);
    for (size_t i = 0; i < scales_.size(); ++i) {
      const float* x = sample_.values.data() + i / kSets * kGroup;
      for (size_t j = 0; j < kGroup; ++j) scales_[i] = std::max(scales_[i], std::abs(x[j]));
    }
  }
  std::span<const float> set(size_t which) const {
    return std::span(sets_).subspan(which * levels_, levels_);
  }
  void choose(size_t group) {
    double least = INFINITY;
    for (size_t one = 0; one < kSets; ++one) {
      float& scale = scales_[group * kSets + one];
      const Fit found = fit(set(one), sample_.values.data() + group * kGroup,
                            sample_.importance.data() + group * kGroup, scale);
      scale = found.scale;
      if (found.error < least) least = found.error, chosen_[group] = uint8_t(one);
    }
  }
  // In units of its group's scale each level becomes the mean of the values nearest to it.
  void move() {
    std::vector<double> sum(sets_.size()), count(sets_.size());
    for (size_t i = 0; i < sample_.values.size(); ++i) {
      const size_t one = chosen_[i / kGroup];
      const float scale = scales_[i / kGroup * kSets + one];
      if (!(scale > 0)) continue;
      const size_t level = one * levels_ + codec::nearest_level(set(one), sample_.values[i] / scale);
      const double weight = double(sample_.importance[i]) * double(scale) * double(scale);
      sum[level] += weight * double(sample_.values[i] / scale), count[level] += weight;
    }
    for (size_t i = 0; i < sets_.size(); ++i) {
      if (count[i] > 0) sets_[i] = float(sum[i] / count[i]);
    }
  }

  const size_t levels_;
  const Sample sample_;
  const size_t groups_;
  std::vector<float> sets_, scales_;  // a scale for each group and set
  std::vector<uint8_t> chosen_;
};

class Learnt : public Compressor {
 public:
  explicit Learnt(size_t bits) : bits_(bits) {}
  Sight sight() const override { return Sight::moments; }

  Status plan(Draft& draft) override {
    for (Weight& weight : draft.weights()) {
      if (!weight.rounds || weight.cols() % int32_t(codec::kSetValues) != 0) continue;
      Learner learner(bits_, TRY(sample_of(draft, weight).with("learning levels of " + weight.role())));
      weight.own = TRY(Codebook::make(bits_, learner.learn(draft.ops())).with("learning " + weight.role()));
      weight.codec = weight.own.get();
      const auto sets = Codebook::of(*weight.codec)->sets();
      draft.metadata()[Codebook::key(weight.name)] = {GgufType::f32, true,
                                                      GgufValue::Floats(sets.begin(), sets.end())};
    }
    return {};
  }

 private:
  size_t bits_;
};

}  // namespace

Made codebook(const Spec& spec) {
  int bits = 3;
  TRY(OptionReader(spec).read("bits", bits, 2, 4).done());
  return std::unique_ptr<Compressor>(new Learnt(size_t(bits)));
}

}  // namespace varve::compress

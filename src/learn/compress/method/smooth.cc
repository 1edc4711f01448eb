// smooth: SmoothQuant+ (Pan et al. 2023). Columns of weights that meet large inputs are made larger before
// rounding, and what stands before them smaller by as much: a norm's weights, or the rows of ffn_up. The
// strength is searched per group of weights by the error of their products. Needs a calibration text; costs
// nothing when the model runs. Families whose norms have no weights, or serve two readers, keep those as they
// are.
#include <algorithm>
#include <cmath>

#include "learn/compress/draft.h"

namespace varve::compress {
namespace {

constexpr int kStrengths = 8;
constexpr int32_t kSampled = 96;  // rows of a weight that a strength is tried on

using Scales = std::map<std::string, std::vector<float>, std::less<>>;

class Smooth : public Compressor {
 public:
  Sight sight() const override { return Sight::moments; }

  Status plan(Draft& draft) override {
    const DecoderSpec& spec = draft.spec();
    const bool folds = spec.norm_before && spec.norm_weights && !spec.one_norm && !spec.norm_sums;
    for (size_t i = 0; i < spec.layers.size(); ++i) {
      const std::string at = "blk." + std::to_string(i) + ".";
      if (folds)
        TRY(fold_norm(draft, at + spec.attention_norm,
                      {at + "attn_q", at + "attn_k", at + "attn_v", at + "attn_qkv"}));
      if (spec.layers[i].experts) continue;
      if (folds) TRY(fold_norm(draft, at + spec.ffn_norm, {at + "ffn_gate", at + "ffn_up"}));
      if (spec.gated && !spec.fused_gate && draft.find(at + "ffn_up.bias") == nullptr)
        TRY(fold_up(draft, at));
    }
    return {};
  }

  void change(const Weight& weight, int32_t first, std::span<float> rows) const override {
    const auto cols = size_t(weight.cols());
    if (const auto by = columns_.find(weight.role()); by != columns_.end()) {
      for (size_t i = 0; i < rows.size(); ++i) rows[i] *= by->second[i % cols];
    }
    if (const auto by = rows_.find(weight.role()); by != rows_.end()) {
      for (size_t i = 0; i < rows.size(); ++i) rows[i] /= by->second[size_t(first) + i / cols];
    }
  }

  void change(const Weight& weight, Seen& seen) const override {
    const auto found = columns_.find(weight.role());
    if (found == columns_.end() || seen.rows == 0) return;
    const std::vector<float>& by = found->second;
    for (size_t j = 0; j < by.size(); ++j) {
      seen.square[j] /= by[j] * by[j], seen.mean[j] /= by[j], seen.size[j] /= by[j];
      for (size_t k = 0; seen.gram.size() > 0 && k < by.size(); ++k)
        seen.gram_values()[j * by.size() + k] /= by[j] * by[k];
    }
  }

 private:
  // What a group of weights loses by a strength, on some of their rows.
  static Result<double> loss(const Draft& draft, const std::vector<const Weight*>& group, const Seen& seen,
                             const std::vector<float>& by) {
    double error = 0;
    for (const Weight* weight : group) {
      const Codec& codec = fitting(
          weight->codec->block_values() > 1 ? *weight->codec : *codec_named("q3_k").value(), weight->cols());
      const auto cols = size_t(weight->cols());
      std::vector<float> row(cols), back(cols);
      std::vector<std::byte> bytes(size_t(codec.bytes_for(int64_t(cols))));
      const int32_t step = std::max(1, weight->rows() / kSampled);
      for (int32_t at = 0; at < weight->rows(); at += step) {
        TRY(draft.read(*weight, at, row));
        for (size_t j = 0; j < cols; ++j) row[j] *= by[j];
        codec.encode(row, bytes);
        codec.decode(bytes, back);
        for (size_t j = 0; j < cols; ++j) {
          const double off = double(back[j] - row[j]) / double(by[j]);
          error += double(seen.square[j]) * off * off;
        }
      }
    }
    return error;
  }

  static std::vector<float> scales(const Seen& seen, const std::vector<float>& largest, float strength) {
    std::vector<float> by;
    float least = INFINITY, most = 0;
    for (size_t j = 0; j < seen.size.size(); ++j) {
      const float input = std::max(seen.size[j], 1e-6f), weight = std::max(largest[j], 1e-6f);
      by.push_back(std::pow(input, strength) / std::pow(weight, (1 - strength) * strength));
      least = std::min(least, by.back()), most = std::max(most, by.back());
    }
    for (float& one : by) one = std::clamp(one / std::sqrt(least * most), 1e-3f, 1e3f);
    return by;
  }

  // Ones, when nothing is won.
  static Result<std::vector<float>> search(const Draft& draft, const std::vector<const Weight*>& group) {
    const Seen seen = TRY(draft.seen(*group[0]));
    std::vector<float> best(size_t(group[0]->cols()), 1.f);
    if (seen.rows == 0) return best;
    std::vector<float> largest(best.size());
    for (const Weight* weight : group) {
      TRY(draft.each(*weight, [&](int32_t, std::span<const float> rows) -> Status {
        for (size_t i = 0; i < rows.size(); ++i)
          largest[i % best.size()] = std::max(largest[i % best.size()], std::abs(rows[i]));
        return {};
      }));
    }
    double least = TRY(loss(draft, group, seen, best));
    for (int i = 1; i < kStrengths; ++i) {
      auto tried = scales(seen, largest, float(i) / kStrengths);
      const double its = TRY(loss(draft, group, seen, tried));
      if (its < least) least = its, best = std::move(tried);
    }
    return best;
  }

  Status fold_norm(Draft& draft, const std::string& norm, std::initializer_list<std::string> readers) {
    std::vector<const Weight*> group;
    for (const std::string& role : readers) {
      if (const Weight* weight = draft.find(role)) group.push_back(weight);
    }
    if (group.empty() || draft.find(norm) == nullptr) return {};
    const auto by = TRY(search(draft, group));
    for (const std::string& vector : {norm, norm + ".bias"}) {
      if (draft.find(vector) == nullptr) continue;
      auto values = TRY(draft.vector(vector));
      for (size_t j = 0; j < values.size(); ++j) values[j] /= by[j];
      draft.set_vector(vector, std::move(values));
    }
    for (const Weight* weight : group) columns_[weight->role()] = by;
    return {};
  }

  Status fold_up(Draft& draft, const std::string& at) {
    const Weight* down = draft.find(at + "ffn_down");
    if (down == nullptr || draft.find(at + "ffn_up") == nullptr) return {};
    auto by = TRY(search(draft, {down}));
    columns_[down->role()] = by, rows_[at + "ffn_up"] = std::move(by);
    return {};
  }

  Scales columns_, rows_;
};

}  // namespace

Made smooth(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Compressor>(new Smooth);
}

}  // namespace varve::compress

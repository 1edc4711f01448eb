// flap (An et al. 2024): hidden units of the feed-forward networks whose input to ffn_down varies least,
// times the weights that it meets there, are cut out, and what they gave in the mean becomes a bias. Files
// hold one hidden width for all layers, so that the same share goes in each; heads stay. Needs a calibration
// text; saves bytes and time alike, whatever the number format.
#include <algorithm>
#include <numeric>

#include "learn/compress/draft.h"

namespace varve::compress {
namespace {

class Flap : public Compressor {
 public:
  explicit Flap(float share) : share_(share) {}
  Sight sight() const override { return Sight::moments; }

  Status plan(Draft& draft) override {
    const DecoderSpec& spec = draft.spec();
    if (!draft.calibrated())
      return Status(Code::invalid, "flap needs a text to calibrate by: --calibrate TEXT");
    if (!draft.methods().empty())
      return Status(Code::invalid, "flap comes before other methods: what it cuts they need not look at");
    const std::string key = spec.family + ".feed_forward_length";
    const auto width = draft.metadata().find(key);
    const bool dense =
        std::none_of(spec.layers.begin(), spec.layers.end(), [](auto& one) { return one.experts; });
    if (!dense || spec.fused_gate || width == draft.metadata().end() || width->second.array)
      return Status(Code::unsupported,
                    "flap cuts networks of one width, one matrix each; " + draft.path() + " has others");
    // Whole blocks of as large a format as now.
    const int32_t unit = spec.hidden % 256 == 0 ? 256 : spec.hidden % 32 == 0 ? 32 : 1;
    const int32_t kept = std::max(1, int32_t(float(spec.hidden) * (1 - share_) / float(unit) + 0.5f)) * unit;
    if (kept >= spec.hidden)
      return Status(Code::invalid, "a share of " + std::to_string(share_) +
                                       " cuts nothing: widths are multiples of " + std::to_string(unit) +
                                       ", and this one is " + std::to_string(spec.hidden));
    for (size_t i = 0; i < spec.layers.size(); ++i) TRY(cut(draft, "blk." + std::to_string(i) + ".", kept));
    width->second.held = int64_t(kept);
    return {};
  }

 private:
  static Status cut(Draft& draft, const std::string& at, int32_t kept) {
    Weight* down = draft.find(at + "ffn_down");
    const Seen seen = TRY(draft.seen(*down));
    const auto hidden = size_t(down->cols());
    std::vector<double> norms(hidden), scores(hidden);
    TRY(draft.each(*down, [&](int32_t, std::span<const float> rows) -> Status {
      for (size_t i = 0; i < rows.size(); ++i) norms[i % hidden] += double(rows[i]) * double(rows[i]);
      return {};
    }));
    for (size_t j = 0; j < hidden; ++j)
      scores[j] = (double(seen.square[j]) - double(seen.mean[j]) * double(seen.mean[j])) * norms[j];
    std::vector<int32_t> order(hidden);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return scores[size_t(a)] > scores[size_t(b)]; });
    std::vector<float> gone(hidden);  // their means; 0 of those that stay
    for (size_t i = size_t(kept); i < hidden; ++i) gone[size_t(order[i])] = seen.mean[size_t(order[i])];
    std::vector<float> bias(size_t(down->rows()));
    if (draft.find(at + "ffn_down.bias") != nullptr) bias = TRY(draft.vector(at + "ffn_down.bias"));
    TRY(draft.each(*down, [&](int32_t first, std::span<const float> rows) -> Status {
      for (size_t i = 0; i < rows.size(); ++i) bias[size_t(first) + i / hidden] += rows[i] * gone[i % hidden];
      return {};
    }));
    draft.set_vector(at + "ffn_down.bias", std::move(bias));
    order.resize(size_t(kept));
    std::sort(order.begin(), order.end());
    down->kept_cols = order;
    for (const char* name : {"ffn_gate", "ffn_up"}) {
      if (Weight* weight = draft.find(at + name)) weight->kept_rows = order;
      const std::string role = at + name + ".bias";
      if (draft.find(role) == nullptr) continue;
      const auto before = TRY(draft.vector(role));
      std::vector<float> after;
      for (const int32_t unit : order) after.push_back(before[size_t(unit)]);
      draft.set_vector(role, std::move(after));
    }
    return {};
  }

  float share_;
};

}  // namespace

Made flap(const Spec& spec) {
  float share = 0.2f;
  TRY(OptionReader(spec).read("share", share, 0.01f, 0.9f).done());
  return std::unique_ptr<Compressor>(new Flap(share));
}

}  // namespace varve::compress

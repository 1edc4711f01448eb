// DuoAttention (Xiao et al. 2024), RazorAttention (Tang et al. 2024): few heads look far back. Those get what
// the others, which keep a short window, leave of the budget. 'varve profile heads' writes the file that says
// which; with policy=streaming this is Duo's split, with policy=razor Razor's.
#include <algorithm>
#include <numeric>

#include "core/io/env.h"
#include "run/kv/allot/head_file.h"
#include "run/kv/allot/share_out.h"

namespace varve::kv_allot {
namespace {

constexpr int64_t kMostBytes = 4 << 20;

struct Options {
  float full = 0.25f;  // share of the heads that look far back
  int window = 320;    // tokens of each other head, sinks and newest; never more than half of the budget
};

class Heads : public KvAllotter {
 public:
  Heads(const HeadProfile& profile, std::string_view by, Options options)
      : layers_(profile.layers), heads_(profile.heads), options_(options), far_(profile.lanes.size()) {
    std::vector<size_t> order(profile.lanes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto score = [&](size_t i) {
      return by == "recall" ? profile.lanes[i].recall : profile.lanes[i].far;
    };
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score(a) > score(b); });
    const size_t full = std::max<size_t>(1, size_t(options.full * float(order.size()) + 0.5f));
    for (size_t i = 0; i < std::min(full, order.size()); ++i) far_[order[i]] = true;
  }

  Status fits(int32_t layers, int32_t heads) const override {
    if (layers == layers_ && heads == heads_) return {};
    return Status(Code::invalid, "the head file is of a model with " + std::to_string(layers_) +
                                     " layers of " + std::to_string(heads_) + " KV heads; this one has " +
                                     std::to_string(layers) + " of " + std::to_string(heads));
  }

  std::vector<int32_t> allot(std::span<const KvLane> lanes, int32_t budget) const override {
    const int32_t window = std::clamp(options_.window, 1, std::max(1, budget / 2));
    std::vector<double> weights;
    for (const KvLane& lane : lanes) weights.push_back(far(lane) ? 1 : 0);
    const auto wide = int64_t(std::count(weights.begin(), weights.end(), 1.0));
    const int64_t narrow = int64_t(lanes.size()) - wide;
    if (wide == 0) return std::vector<int32_t>(lanes.size(), budget);
    const int64_t each = (int64_t(lanes.size()) * budget - narrow * window) / wide;
    std::vector<int32_t> kept;
    for (double weight : weights)
      kept.push_back(weight > 0 ? int32_t(std::min<int64_t>(each, 1 << 30)) : window);
    return kept;
  }

 private:
  bool far(const KvLane& lane) const {
    const size_t at = size_t(lane.layer) * size_t(heads_) + size_t(lane.head);
    return lane.head < heads_ && at < far_.size() && far_[at];
  }

  int32_t layers_, heads_;
  Options options_;
  std::vector<bool> far_;
};

}  // namespace

Made heads(const Spec& spec) {
  Spec numbers = spec;
  const auto text = [&](std::string_view key) {
    const auto found = numbers.options.find(key);
    if (found == numbers.options.end()) return std::string();
    std::string value = found->second;
    numbers.options.erase(found);
    return value;
  };
  const std::string file = text("file"), by = text("by");
  Options options;
  TRY(OptionReader(numbers)
          .read("full", options.full, 0.f, 1.f)
          .read("window", options.window, 1, 1 << 24)
          .done());
  if (!by.empty() && by != "recall" && by != "far") return Status(Code::invalid, "by is recall or far");
  if (file.empty())
    return Status(Code::invalid, "allot=heads needs file=FILE, which 'varve profile heads' writes");
  const std::vector<std::byte> bytes =
      TRY(read_file(posix_env(), file, kMostBytes).with("reading the head file"));
  const HeadProfile profile =
      TRY(parse_head_profile({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  return std::unique_ptr<KvAllotter>(new Heads(profile, by.empty() ? "recall" : by, options));
}

}  // namespace varve::kv_allot

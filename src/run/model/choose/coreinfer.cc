// CoreInfer (Wang et al. 2024), guided by stability: of each token of the prompt, the neurons of largest
// value are its core; those that are in the core of most tokens are the sentence's, and an answer computes
// these alone. Needs nothing beside the prompt, and 8 bytes a neuron while a sequence lives; an answer that
// turns to something else goes on with the neurons of its prompt.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "run/model/choose/chooser.h"

namespace varve::neuron_chooser {
namespace {

struct Options {
  double share = .4;  // of a layer's neurons that an answer computes
  double token = .4;  // of those that fire for a token, its core
  int least = 16;     // tokens that are seen before any is left out
};

constexpr int32_t kGroup = 16;  // rows of a task
constexpr double kMost = 65535;
constexpr uint64_t kOnce = uint64_t(1) << 40;

// A neuron's score: how often it was core, and, where that is even, how large it was beside the largest.
// Whole numbers: the sum does not depend on how a prompt was cut.
void score(std::span<const float> values, double share, std::vector<float>& room,
           std::span<uint64_t> scores) {
  room.clear();
  for (const float value : values)
    if (std::abs(value) > 0) room.push_back(std::abs(value));
  if (room.empty()) return;
  const auto most = std::max_element(room.begin(), room.end());
  const double scale = std::isfinite(*most) ? kMost / double(*most) : 0;
  const auto core = size_t(std::clamp(std::ceil(share * double(room.size())), 1.0, double(room.size())));
  std::nth_element(room.begin(), room.begin() + ptrdiff_t(core - 1), room.end(), std::greater<>());
  const float least = room[core - 1];
  for (size_t i = 0; i < values.size(); ++i) {
    const float size = std::abs(values[i]);
    if (size > 0) scores[i] += (size >= least ? kOnce : 0) + (scale > 0 ? uint64_t(double(size) * scale) : 0);
  }
}

class CoreChoice : public NeuronChoice {
 public:
  CoreChoice(Options options, NeuronShape shape, Buffer scores)
      : options_(options), shape_(shape), scores_(std::move(scores)) {
    seen_.resize(size_t(shape.layers));
    cores_.resize(size_t(shape.layers));
  }

  void see(Ops& ops, int32_t layer, Rows values) override {
    if (!cores_[size_t(layer)].empty()) return;
    const int32_t groups = (values.count() + kGroup - 1) / kGroup;
    const auto width = size_t(shape_.neurons);
    std::vector<std::vector<uint64_t>> parts(static_cast<size_t>(groups));
    ops.parallel(groups, [&](int64_t group) {
      parts[size_t(group)].resize(width);
      std::vector<float> row(width), room;
      const auto first = int32_t(group) * kGroup;
      for (int32_t i = first; i < std::min(first + kGroup, values.count()); ++i) {
        ops.store(values.slice(i, 1), row);
        score(row, options_.token, room, parts[size_t(group)]);
      }
    });
    for (const auto& part : parts)
      for (size_t i = 0; i < width; ++i) scores(layer)[i] += part[i];
    seen_[size_t(layer)] += values.count();
  }

  std::vector<int32_t> choose(const Choosing& at) override {
    auto& core = cores_[size_t(at.layer)];
    if (core.empty() && seen_[size_t(at.layer)] >= options_.least) core = settle(scores(at.layer));
    return core;
  }

  std::span<const int32_t> known(int32_t layer) const override { return cores_[size_t(layer)]; }

 private:
  std::span<uint64_t> scores(int32_t layer) {
    return {reinterpret_cast<uint64_t*>(scores_.bytes().data()) + size_t(layer) * size_t(shape_.neurons),
            size_t(shape_.neurons)};
  }
  std::vector<int32_t> settle(std::span<const uint64_t> scores) const {
    const double wanted = std::ceil(options_.share * double(scores.size()));
    const auto count = ptrdiff_t(std::clamp(wanted, 1.0, double(scores.size())));
    std::vector<int32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::nth_element(order.begin(), order.begin() + (count - 1), order.end(), [&](int32_t a, int32_t b) {
      return scores[size_t(a)] != scores[size_t(b)] ? scores[size_t(a)] > scores[size_t(b)] : a < b;
    });
    order.resize(size_t(count));
    std::sort(order.begin(), order.end());
    return order;
  }

  const Options options_;
  const NeuronShape shape_;
  Buffer scores_;
  std::vector<int32_t> seen_;                // tokens, of each layer
  std::vector<std::vector<int32_t>> cores_;  // settled when they are first asked for
};

class CoreInfer : public NeuronChooser {
 public:
  explicit CoreInfer(Options options) : options_(options) {}
  Result<std::unique_ptr<NeuronChoice>> begin(NeuronShape shape, Ledger& ledger) const override {
    const int64_t bytes = int64_t(shape.layers) * shape.neurons * int64_t(sizeof(uint64_t));
    Buffer scores =
        TRY(Buffer::make(ledger, Tag::scratch, bytes).with("remembering what a prompt makes fire"));
    return std::unique_ptr<NeuronChoice>(new CoreChoice(options_, shape, std::move(scores)));
  }

 private:
  const Options options_;
};

}  // namespace

Made coreinfer(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("share", options.share, .001, 1.0)
          .read("token", options.token, .001, 1.0)
          .read("least", options.least, 1, 1 << 20)
          .done());
  return std::unique_ptr<NeuronChooser>(new CoreInfer(options));
}

}  // namespace varve::neuron_chooser

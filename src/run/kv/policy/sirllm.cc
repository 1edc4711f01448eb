// SirLLM (Yao et al. 2024): what a model did not expect is what it will want to know again. Keep the sinks,
// the newest, and the tokens that were least probable when they were read. Costs the probability of every
// token of the prompt, thus the output layer for all rows of it.
#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

struct Options {
  int sinks = 4;
  int recent = 64;  // newest tokens that stay whatever they are; the paper has none
};

class SirLlm : public RankingPolicy {
 public:
  explicit SirLlm(Options options) : options_(options) {}

  KvNeeds needs() const override { return {.surprise = true}; }

  void score(const KvLane& lane, size_t, std::span<float> scores) const override {
    for (size_t i = 0; i < lane.size(); ++i) {
      const bool stays = lane.positions[i] < options_.sinks || i + size_t(options_.recent) >= lane.size();
      scores[i] = stays ? kStays : lane.surprise[i];
    }
  }

 private:
  Options options_;
};

}  // namespace

Made sirllm(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("sinks", options.sinks, 0, 1024)
          .read("recent", options.recent, 0, 1 << 24)
          .done());
  return std::unique_ptr<KvPolicy>(new SirLlm(options));
}

}  // namespace varve::kv_policy

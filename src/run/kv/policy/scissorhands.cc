// Scissorhands (Liu et al. 2023): what mattered will matter. A token is important at a step when it gets at
// least the average attention; keep those that were important most often of late, and the newest.
// Here the history fades over its length, where the paper's ends.
#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

struct Options {
  int history = 400;  // queries
  int recent = 10;
};

class Scissorhands : public RankingPolicy {
 public:
  explicit Scissorhands(Options options) : options_(options) {}

  KvNeeds needs() const override {
    return {.attention = KvNeeds::Attention::hits, .window = options_.history};
  }

  void score(const KvLane& lane, size_t, std::span<float> scores) const override {
    for (size_t i = 0; i < lane.size(); ++i)
      scores[i] = i + size_t(options_.recent) >= lane.size() ? kStays : lane.attention[i];
  }

 private:
  Options options_;
};

}  // namespace

Made scissorhands(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("history", options.history, 1, 1 << 20)
          .read("recent", options.recent, 0, 1 << 20)
          .done());
  return std::unique_ptr<KvPolicy>(new Scissorhands(options));
}

}  // namespace varve::kv_policy

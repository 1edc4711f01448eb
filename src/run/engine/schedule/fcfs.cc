// First come, first served, lower priorities first. Each step takes one row of every sequence that generates,
// then fills up with prompts in chunks. Who waits rises by one priority every `patience` steps, so that a
// stream of urgent requests delays the others and never starves them.
//
// When there is no room for the first that waits, who has generated for a slice is paused: `slice` steps, or
// more when its KV is so long that going and coming back would be felt.
#include <algorithm>
#include <tuple>

#include "run/engine/scheduler.h"

namespace varve::scheduler {
namespace {

constexpr int32_t kStepsOfKv = 64;  // a step for so many tokens of KV

struct Options {
  int patience = 64;
  int slice = 32;  // 0: nobody is paused
};

class Fcfs : public Scheduler {
 public:
  explicit Fcfs(Options options) : options_(options) {}

  BatchPlan plan(std::span<const SequenceView> all, const StepLimits& limits) const override {
    std::vector<size_t> running, waiting;
    for (size_t i = 0; i < all.size(); ++i) (all[i].running ? running : waiting).push_back(i);
    const auto by_rank = [&](size_t a, size_t b) { return rank(all[a], a) < rank(all[b], b); };
    std::sort(running.begin(), running.end(), by_rank);
    std::sort(waiting.begin(), waiting.end(), by_rank);

    BatchPlan plan;
    if (limits.crowded && !waiting.empty()) plan.pause = paused(all, running, all[waiting.front()].priority);
    for (size_t i : plan.pause) std::erase(running, i);
    int32_t left = limits.rows;
    for (size_t i : running) {
      if (left == 0) break;
      const int32_t rows = std::min(left, all[i].rows);
      plan.shares.push_back({i, rows});
      left -= rows;
    }
    const size_t seats =
        size_t(std::max<int64_t>(0, limits.sequences - int64_t(running.size()) - int64_t(plan.pause.size())));
    waiting.resize(std::min(waiting.size(), seats));
    plan.admit = std::move(waiting);
    return plan;
  }

 private:
  // One at a time, not for somebody less urgent: who was served longest.
  std::vector<size_t> paused(std::span<const SequenceView> all, std::span<const size_t> running,
                             int32_t for_priority) const {
    size_t best = all.size();
    for (size_t i : running) {
      const SequenceView& one = all[i];
      const int32_t slice = std::max(options_.slice, one.kv_tokens / kStepsOfKv);
      if (options_.slice == 0 || one.rows > 1 || one.served_steps < slice || one.priority < for_priority)
        continue;
      const auto longest = [&](size_t at) { return std::tuple(all[at].priority, all[at].served_steps); };
      if (best == all.size() || longest(i) > longest(best)) best = i;
    }
    return best == all.size() ? std::vector<size_t>() : std::vector<size_t>{best};
  }

  // Sequences that generate take turns if the rows do not suffice; a prompt once begun is finished first.
  std::tuple<int64_t, bool, int32_t, size_t> rank(const SequenceView& one, size_t order) const {
    const bool prompt = one.running && one.rows > 1;
    return {int64_t(one.priority) - one.waited_steps / options_.patience, prompt,
            prompt || !one.running ? 0 : -one.waited_steps, order};
  }

  Options options_;
};

}  // namespace

Made fcfs(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("patience", options.patience, 1, 1 << 20)
          .read("slice", options.slice, 0, 1 << 20)
          .done());
  return std::unique_ptr<Scheduler>(new Fcfs(options));
}

}  // namespace varve::scheduler

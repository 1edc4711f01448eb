// What every scheduler owes the engine. A new one is in this test the moment it is in all.def.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "run/engine/scheduler.h"

namespace varve {
namespace {

class EveryScheduler : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = schedulers().make(GetParam());
    ASSERT_TRUE(made.ok());
    scheduler_ = std::move(*made);
  }

  void check(std::span<const SequenceView> all, const StepLimits& limits, const BatchPlan& plan) {
    std::set<size_t> seen;
    int64_t rows = 0, running = 0;
    for (const auto& share : plan.shares) {
      ASSERT_LT(share.sequence, all.size());
      ASSERT_TRUE(all[share.sequence].running);
      ASSERT_TRUE(share.rows >= 1 && share.rows <= all[share.sequence].rows);
      ASSERT_TRUE(seen.insert(share.sequence).second);
      rows += share.rows;
    }
    for (const SequenceView& one : all) running += one.running;
    ASSERT_LE(rows, limits.rows);
    ASSERT_EQ(plan.shares.empty() && plan.pause.empty(), running == 0);
    ASSERT_TRUE(plan.pause.empty() || limits.crowded);
    for (size_t paused : plan.pause) {
      ASSERT_LT(paused, all.size());
      ASSERT_TRUE(all[paused].running && all[paused].rows == 1);
      ASSERT_TRUE(seen.insert(paused).second);
    }
    for (size_t admitted : plan.admit) {
      ASSERT_LT(admitted, all.size());
      ASSERT_FALSE(all[admitted].running);
      ASSERT_TRUE(seen.insert(admitted).second);
    }
    ASSERT_LE(int64_t(plan.admit.size()), std::max<int64_t>(0, limits.sequences - running));
    ASSERT_FALSE(running == 0 && plan.admit.empty() && !all.empty());
  }

  std::unique_ptr<Scheduler> scheduler_;
};

TEST_P(EveryScheduler, StaysWithinItsLimitsAndIsNeverIdle) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<SequenceView> all(random() % 20);
    for (SequenceView& one : all) {
      one = {.running = random() % 2 == 0,
             .priority = int32_t(random() % 3),
             .rows = random() % 2 ? 1 : int32_t(1 + random() % 500),
             .waited_steps = int32_t(random() % 1000),
             .served_steps = int32_t(random() % 200),
             .kv_tokens = int32_t(random() % 9000)};
    }
    const StepLimits limits{.rows = int32_t(1 + random() % 64),
                            .sequences = int32_t(1 + random() % 12),
                            .crowded = random() % 2 == 0};
    ASSERT_NO_FATAL_FAILURE(check(all, limits, scheduler_->plan(all, limits)));
  }
}

// A flood of urgent requests, more than can ever be served: those of low priority must still come to an end.
TEST_P(EveryScheduler, StarvesNobody) {
  struct Job {
    SequenceView view;
    int left = 0, born = 0;
  };
  std::mt19937 random(9);
  std::vector<Job> jobs;
  const StepLimits limits{.rows = 4, .sequences = 3};
  int worst = 0, finished = 0;
  for (int step = 0; step < 6000; ++step) {
    if (jobs.size() < 40) {
      const int32_t priority = step % 10 == 0 ? 2 : 0;
      jobs.push_back({{.priority = priority, .rows = 1}, int(1 + random() % 12), step});
    }
    std::vector<SequenceView> views;
    for (Job& job : jobs) {
      job.view.rows = job.left > 6 ? job.left : 1;
      views.push_back(job.view);
    }
    const BatchPlan plan = scheduler_->plan(views, limits);
    for (Job& job : jobs) ++job.view.waited_steps;
    for (size_t admitted : plan.admit) jobs[admitted].view.running = true;
    for (const auto& share : plan.shares) {
      jobs[share.sequence].left -= share.rows;
      jobs[share.sequence].view.waited_steps = 0;
    }
    std::erase_if(jobs, [&](const Job& job) {
      if (job.left > 0) return false;
      worst = std::max(worst, step - job.born);
      return ++finished > 0;
    });
  }
  for (const Job& job : jobs) worst = std::max(worst, 6000 - job.born);
  EXPECT_LT(worst, 1000) << "40 jobs of at most 12 rows, 4 rows a step";
  EXPECT_GT(finished, 2000);
}

INSTANTIATE_TEST_SUITE_P(All, EveryScheduler, testing::ValuesIn(schedulers().names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace varve

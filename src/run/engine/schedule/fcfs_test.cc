#include <gtest/gtest.h>

#include "run/engine/scheduler.h"

namespace varve {
namespace {

std::vector<std::pair<size_t, int32_t>> shares(const BatchPlan& plan) {
  std::vector<std::pair<size_t, int32_t>> all;
  for (const auto& share : plan.shares) all.emplace_back(share.sequence, share.rows);
  return all;
}

TEST(Fcfs, GeneratesEveryRunningSequenceAndFillsUpWithPromptsInOrder) {
  auto made = schedulers().make("fcfs");
  ASSERT_TRUE(made.ok());
  const std::vector<SequenceView> all{{.running = true, .rows = 100},
                                      {.running = true, .rows = 1},
                                      {.running = true, .rows = 100, .waited_steps = 9},
                                      {.running = true, .rows = 1}};
  const BatchPlan plan = (*made)->plan(all, {.rows = 128, .sequences = 4});
  EXPECT_EQ(shares(plan), (std::vector<std::pair<size_t, int32_t>>{{1, 1}, {3, 1}, {0, 100}, {2, 26}}));
  EXPECT_TRUE(plan.admit.empty());
}

TEST(Fcfs, AdmitsByPriorityThenByOrderAndLetsThePatientRise) {
  auto made = schedulers().make("fcfs:patience=10");
  ASSERT_TRUE(made.ok());
  std::vector<SequenceView> all{
      {.priority = 1, .rows = 5}, {.rows = 5}, {.rows = 5}, {.running = true, .rows = 1}};
  EXPECT_EQ((*made)->plan(all, {.rows = 8, .sequences = 3}).admit, (std::vector<size_t>{1, 2}));
  all[0].waited_steps = 20;
  EXPECT_EQ((*made)->plan(all, {.rows = 8, .sequences = 3}).admit, (std::vector<size_t>{0, 1}));
}

TEST(Fcfs, PausesWhoWasServedLongestWhenSomebodyAsUrgentHasNoRoom) {
  auto made = schedulers().make("fcfs:slice=10");
  ASSERT_TRUE(made.ok());
  std::vector<SequenceView> all{{.running = true, .rows = 1, .served_steps = 12},
                                {.running = true, .rows = 1, .served_steps = 30},
                                {.running = true, .rows = 1, .served_steps = 90, .kv_tokens = 6400},
                                {.running = true, .rows = 50, .served_steps = 99},
                                {.rows = 7}};
  const StepLimits crowded{.rows = 64, .sequences = 8, .crowded = true};
  EXPECT_EQ((*made)->plan(all, {.rows = 64, .sequences = 8}).pause, std::vector<size_t>());
  EXPECT_EQ((*made)->plan(all, crowded).pause, std::vector<size_t>{1}) << "long KV has a longer slice";
  EXPECT_EQ((*made)->plan(all, crowded).shares.size(), 3u) << "who pauses has no row";
  all[0].priority = 3;
  EXPECT_EQ((*made)->plan(all, crowded).pause, std::vector<size_t>{0}) << "who is less urgent goes first";
  all[4].priority = 4;
  EXPECT_EQ((*made)->plan(all, crowded).pause, std::vector<size_t>());
  EXPECT_EQ((*schedulers().make("fcfs:slice=0"))->plan(all, crowded).pause, std::vector<size_t>());
}

}  // namespace
}  // namespace varve

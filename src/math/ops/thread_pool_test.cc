#include "math/ops/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace varve {
namespace {

TEST(ThreadPool, RunsEachTaskOnce) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      pool.run(tasks, [&](int64_t i) { ++runs[size_t(i)]; });
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ThreadPool, ManyShortJobsLoseNothing) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum = 0;
  for (int64_t job = 0; job < 5000; ++job) pool.run(3, [&](int64_t i) { sum += job * i; });
  EXPECT_EQ(sum, 3 * 5000 * 4999 / 2);
}

TEST(ThreadPool, WritesAreSeenByTheCaller) {
  ThreadPool pool(2);
  std::vector<int> plain(64);
  for (int job = 1; job < 500; ++job) {
    pool.run(64, [&](int64_t i) { plain[size_t(i)] += job; });
    for (int value : plain) ASSERT_EQ(value, job * (job + 1) / 2);
  }
}

}  // namespace
}  // namespace varve

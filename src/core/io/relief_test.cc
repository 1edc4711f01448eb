// Relief: the budget falls while the machine is short of memory, and comes back when it is not.
#include "core/io/relief.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

void write_counter(const std::string& path, int64_t total_us) {
  const std::string text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=" + std::to_string(total_us) +
                           "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
  ASSERT_TRUE(write_file(posix_env(), path, std::as_bytes(std::span(text))).ok());
}

TEST(Pressure, IsThePartOfTheTimeSinceTheLastLook) {
  TempFolder folder;
  const std::string path = folder / "memory";
  PressureGauge gauge(posix_env(), path);
  EXPECT_FALSE(gauge.since_last(0)) << "no file";
  write_counter(path, 1'000'000);
  EXPECT_FALSE(gauge.since_last(1000)) << "nothing to compare with";
  write_counter(path, 1'500'000);
  EXPECT_DOUBLE_EQ(gauge.since_last(3000).value_or(-1), 0.25);
  EXPECT_DOUBLE_EQ(gauge.since_last(4000).value_or(-1), 0);
  EXPECT_FALSE(gauge.since_last(4000)) << "no time has passed";
  for (const std::string bad :
       {"", "some", "total=5", "some avg10=0.00 total=x", "full total=9\nsome total=1"}) {
    ASSERT_TRUE(write_file(posix_env(), path, std::as_bytes(std::span(bad))).ok());
    EXPECT_FALSE(gauge.since_last(9000)) << bad;
  }
}

TEST(Pressure, TheSystemsOwnFileIsRead) {
  const std::string path = PressureGauge::find(posix_env());
  if (path.empty()) GTEST_SKIP() << "this system does not count pressure";
  PressureGauge gauge(posix_env(), path);
  EXPECT_FALSE(gauge.since_last(1000));
  const auto now = gauge.since_last(2000);
  ASSERT_TRUE(now.has_value());
  EXPECT_GE(*now, 0);
  EXPECT_LE(*now, 1);
}

TEST(Easing, FallsBelowWhatIsUsedAndRisesSlowlyToWhatWasAsked) {
  Easing easing;
  EXPECT_EQ(easing.next(0.05, 800, 800, 600), 800) << "some pressure changes nothing";
  EXPECT_EQ(easing.next(0.3, 800, 800, 600), 500);
  EXPECT_EQ(easing.next(0.3, 800, 500, 500), 400);
  EXPECT_EQ(easing.next(1.0, 800, 100, 100), 50) << "never to nothing";
  int64_t now = 400;
  int looks = 0;
  for (; now < 800 && looks < 1000; ++looks) now = easing.next(0, 800, now, 300);
  EXPECT_EQ(now, 800);
  EXPECT_EQ(looks, 4 * Easing::kCalmLooks);
  EXPECT_EQ(easing.next(0, 800, 800, 300), 800);
}

TEST(Easing, ALittlePressureBeginsTheWaitAnew) {
  Easing easing;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(easing.next(i % Easing::kCalmLooks == 0 ? 0.05 : 0, 800, 400, 300), 400) << i;
}

TEST(Relief, MovesTheBudgetWithTheCounter) {
  TempFolder folder;
  const std::string path = folder / "memory";
  write_counter(path, 0);
  std::atomic<int64_t> budget = 800;
  std::atomic<bool> fell = false;
  const auto until = [](const auto& there) {
    for (int i = 0; i < 20000 && !there(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return there();
  };
  Relief relief(
      PressureGauge(posix_env(), path), system_clock(), 2,
      [&] {
        return Relief::Budget{800, budget, std::min<int64_t>(budget, 600)};
      },
      [&](int64_t next) {
        if (next < 450) return Status(Code::over_budget, "in use");
        fell = fell || next < 800;
        budget = next;
        return Status();
      });
  int64_t total = 0;
  EXPECT_TRUE(until([&] { return write_counter(path, total += 1'000'000), fell.load(); }));
  EXPECT_GE(budget, 450) << "a refusal leaves it as it is";
  EXPECT_TRUE(until([&] { return budget == 800; })) << "no pressure any more";
}

}  // namespace
}  // namespace varve

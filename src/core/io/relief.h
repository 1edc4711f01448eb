// Relief: gives memory back while the machine is short of it. Linux counts how long anything waited for
// memory (pressure stall information). While that is much, the budget falls step by step below what is in
// use; when it has been little for a while the budget rises again, up to what the user set.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/base/clock.h"
#include "core/io/env.h"

namespace varve {

// Of the time since the last look, the part in which something waited for memory: 0 to 1.
class PressureGauge {
 public:
  // `path`: a file as /proc/pressure/memory.
  PressureGauge(Env& env, std::string path) : env_(env), path_(std::move(path)) {}
  // The file of this process's own group, or of the machine. Empty: the system does not count.
  static std::string find(Env& env);
  // Nothing at the first look, and where the file says nothing.
  std::optional<double> since_last(TimeMs now);

 private:
  Env& env_;
  const std::string path_;
  std::optional<int64_t> waited_us_;
  TimeMs then_ = 0;
};

// The rule: what the budget is after a look that found this pressure.
class Easing {
 public:
  static constexpr double kMuch = 0.1, kLittle = 0.01;
  static constexpr int kCalmLooks = 5;  // before it rises by a step, which is an eighth of what the user set

  // `used`: of the budget `now`, which the user set to `asked`. Less than `now`, the same or more.
  int64_t next(double pressure, int64_t asked, int64_t now, int64_t used);

 private:
  int calm_ = 0;
};

class Relief {
 public:
  struct Budget {
    int64_t asked = 0, now = 0, used = 0;
  };
  // A thread of its own looks every `every_ms` until this dies. `set` may refuse: then it is tried again.
  Relief(PressureGauge gauge, const Clock& clock, int every_ms, std::function<Budget()> look,
         std::function<Status(int64_t)> set);
  ~Relief();

 private:
  void watch();

  PressureGauge gauge_;
  const Clock& clock_;
  const int every_ms_;
  const std::function<Budget()> look_;
  const std::function<Status(int64_t)> set_;
  Easing easing_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace varve

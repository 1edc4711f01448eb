#include "core/io/relief.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

namespace varve {
namespace {

// Files of the kernel say that they are empty, and are read all the same.
std::string read_counter(Env& env, const std::string& path) {
  const auto file = env.open(path, Open::read);
  if (!file.ok()) return {};
  std::array<char, 1024> text;
  const auto got = (*file)->read_up_to(0, std::as_writable_bytes(std::span(text)));
  return got.ok() ? std::string(text.data(), size_t(*got)) : std::string();
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=3130642": of microseconds the total.
std::optional<int64_t> total_of(std::string_view text) {
  constexpr std::string_view kTotal = "total=";
  const std::string_view line = text.substr(0, text.find('\n'));
  const size_t at = line.find(kTotal);
  if (!line.starts_with("some ") || at == line.npos) return std::nullopt;
  int64_t total = 0;
  const char* from = line.data() + at + kTotal.size();
  return std::from_chars(from, line.data() + line.size(), total).ec == std::errc() ? std::optional(total)
                                                                                   : std::nullopt;
}

}  // namespace

std::string PressureGauge::find(Env& env) {
  std::vector<std::string> paths;
  const std::string groups = read_counter(env, "/proc/self/cgroup");
  if (const size_t own = groups.find("0::/"); own != groups.npos) {
    const std::string group = groups.substr(own + 3, groups.find('\n', own) - own - 3);
    paths.push_back("/sys/fs/cgroup" + (group == "/" ? std::string() : group) + "/memory.pressure");
  }
  paths.push_back("/proc/pressure/memory");
  for (const std::string& path : paths)
    if (total_of(read_counter(env, path))) return path;
  return {};
}

std::optional<double> PressureGauge::since_last(TimeMs now) {
  const auto total = total_of(read_counter(env_, path_));
  const auto before = std::exchange(waited_us_, total);
  const TimeMs passed = now - std::exchange(then_, now);
  if (!total || !before || passed <= 0) return std::nullopt;
  return std::clamp(double(*total - *before) / (1000.0 * double(passed)), 0.0, 1.0);
}

int64_t Easing::next(double pressure, int64_t asked, int64_t now, int64_t used) {
  const int64_t step = asked / 8;
  calm_ = pressure < kLittle ? calm_ + 1 : 0;
  if (pressure >= kMuch) return std::min(now, used) - std::min(step, std::min(now, used) / 2);
  if (calm_ < kCalmLooks || now >= asked) return now;
  calm_ = 0;
  return std::min(asked, now + step);
}

Relief::Relief(PressureGauge gauge, const Clock& clock, int every_ms, std::function<Budget()> look,
               std::function<Status(int64_t)> set)
    : gauge_(std::move(gauge)),
      clock_(clock),
      every_ms_(every_ms),
      look_(std::move(look)),
      set_(std::move(set)),
      thread_([this] { watch(); }) {}

Relief::~Relief() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Relief::watch() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::milliseconds(every_ms_), [&] { return stopping_; })) {
    const auto pressure = gauge_.since_last(clock_.now_ms());
    if (!pressure) continue;
    lock.unlock();
    const Budget budget = look_();
    const int64_t next = easing_.next(*pressure, budget.asked, budget.now, budget.used);
    if (next != budget.now)
      set_(next).ignore("what can be given back is given back; more is tried at the next look");
    lock.lock();
  }
}

}  // namespace varve

#include "core/base/log.h"

#include <atomic>
#include <cstdio>
#include <string>

#include "core/base/clock.h"

namespace varve {
namespace {
std::atomic<LogLevel> limit{LogLevel::note};
}

void set_log_level(LogLevel level) {
  limit = level;
}

void log(LogLevel level, std::string_view line) {
  if (level > limit) return;
  static constexpr const char* names[] = {"error", "warning", "note", "debug"};
  const std::string text =
      format_time(system_clock().now_ms()) + " " + names[size_t(level)] + " " + std::string(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace varve

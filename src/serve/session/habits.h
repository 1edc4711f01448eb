// Habits: memories with which conversations begin again and again are captured by themselves. The rule: the
// same ones, or passages of the same document, were recalled for the first message of three conversations,
// after the same system words. Bounded in bytes; the oldest automatic capture makes room.
#pragma once

#include <map>
#include <mutex>

#include "serve/session/captured.h"

namespace varve {

class Habits {
 public:
  explicit Habits(int64_t most_bytes) : most_bytes_(most_bytes) {}  // 0: off

  // A conversation began with these; the order to capture them now, if any. Once for the same memories.
  std::optional<CaptureOrder> began(const Principal& who, const std::vector<Recalled>& recalled,
                                    const std::string& system);
  // Carries it out. over_budget, invalid: it is not to be, and nothing is left of it.
  Status keep(CubeStore& cubes, const Principal& who, Engine& engine, const Prompter& prompter,
              CaptureOrder order, TimeMs now);

 private:
  Status make_room(CubeStore& cubes, const Principal& who);

  const int64_t most_bytes_;
  std::mutex mutex_;
  std::map<Hash256, int32_t> times_;  // bounded
};

}  // namespace varve

#include "serve/session/habits.h"

#include <algorithm>

#include "memory/cube/cube_store.h"

namespace varve {
namespace {

constexpr int32_t kTimes = 3;         // that make a habit
constexpr size_t kLeastWords = 2048;  // bytes that are worth keeping the state of
constexpr size_t kMostRemembered = 4096;
constexpr size_t kBest = 3;  // of what is recalled

Hash256 name_of(const Principal& who, const std::vector<CubeId>& memories, const std::string& system) {
  Sha256 all;
  all.add(who.whole()).add(std::string_view("\0", 1)).add(system);
  for (const CubeId& one : memories) all.add(one.text());
  return all.finish();
}

// What of a recall may be captured: all that is no evidence of talk, together; and the document of a passage
// that is among the best, for other passages of it are found the next time.
std::vector<std::vector<CubeId>> candidates(const std::vector<Recalled>& recalled) {
  std::vector<std::vector<CubeId>> all;
  std::vector<CubeId> together;
  size_t bytes = 0;
  for (size_t i = 0; i < recalled.size(); ++i) {
    const CubeHeader& header = recalled[i].header;
    if (header.kind == "passage" && header.from.size() == 1) {
      const std::vector<CubeId> document{header.from[0].cube};
      if (i < kBest && std::find(all.begin(), all.end(), document) == all.end()) all.push_back(document);
    } else if (header.form == Form::plaintext && !is_evidence(header.kind)) {
      together.push_back(header.id);
      bytes += recalled[i].text.size();
    }
  }
  if (bytes >= kLeastWords) all.push_back(std::move(together));
  return all;
}

}  // namespace

std::optional<CaptureOrder> Habits::began(const Principal& who, const std::vector<Recalled>& recalled,
                                          const std::string& system) {
  std::optional<CaptureOrder> order;
  if (most_bytes_ == 0) return order;
  std::lock_guard lock(mutex_);
  if (times_.size() >= kMostRemembered) times_.clear();
  for (std::vector<CubeId>& memories : candidates(recalled)) {
    if (++times_[name_of(who, memories, system)] != kTimes || order) continue;
    order =
        CaptureOrder{.memories = std::move(memories), .space = who.name, .system = system, .automatic = true};
  }
  return order;
}

Status Habits::keep(CubeStore& cubes, const Principal& who, Engine& engine, const Prompter& prompter,
                    CaptureOrder order, TimeMs now) {
  order.most_bytes = std::min(order.most_bytes, most_bytes_);
  TRY(capture(cubes, who, engine, prompter, order, now));
  return make_room(cubes, who);
}

// The newest stay, as far as the bytes go.
Status Habits::make_room(CubeStore& cubes, const Principal& who) {
  CubeFilter filter;
  filter.form = Form::activation;
  filter.limit = 1000;
  const std::vector<CubeHeader> all = TRY(cubes.list(who, filter));
  int64_t left = most_bytes_;
  for (auto one = all.rbegin(); one != all.rend(); ++one) {
    if (!one->why.starts_with(kAutomatic)) continue;
    left -= one->payload_bytes;
    if (left < 0) TRY(cubes.erase(who, one->id, "newer automatic captures need its room"));
  }
  return {};
}

}  // namespace varve

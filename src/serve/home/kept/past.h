// The past: up to where each principal's log was reflected on, and reflecting on all of it by command.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "core/io/env.h"
#include "serve/home/home.h"
#include "serve/session/afterthought.h"

namespace varve {

// reflected.json of a home: (principal, reflectors) -> a cube's id. Other reflectors begin anew.
class Reached : public LogMarks {
 public:
  Reached(Env& env, std::string folder, std::string reflectors)
      : env_(env), path_(folder + "/reflected.json"), reflectors_(std::move(reflectors)) {}
  std::optional<CubeId> reached(const Principal& who) override;
  void reach(const Principal& who, CubeId mark) override;
  // The same for a command that goes over the past and was cut off; all zero: it ended.
  std::optional<CubeId> cut_off(const Principal& who);
  void cut_off_at(const Principal& who, CubeId mark);

 private:
  using Marks = std::map<std::string, std::string>;
  Marks read();
  void change(const std::string& key, CubeId mark);
  std::optional<CubeId> find(const std::string& key);

  Env& env_;
  const std::string path_, reflectors_;
  std::mutex mutex_;
};

struct PastOptions {
  std::string space;              // empty: the principal's own
  std::optional<TimeMs> since{};  // only turns said then or later
  bool rebuild = false;           // drop what was derived first
};
struct PastCount {
  int64_t turns = 0, stored = 0, failed = 0;
  int64_t again = 0, waiting = 0;  // of what went with one of its sources: derived again, and still to be
  Dropped dropped{};
  std::string trouble;  // the newest
};
// Goes on where it was cut off, unless it rebuilds. `tell` hears of it every 50 turns; false ends it.
Result<PastCount> reflect_on_past(Home& home, const Principal& who, const PastOptions& options,
                                  const std::function<bool(const PastCount&)>& tell);

}  // namespace varve

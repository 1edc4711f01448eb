#include "serve/home/kept/past.h"

#include <algorithm>
#include <span>

#include "core/format/json.h"
#include "memory/cube/governance.h"

namespace varve {
namespace {

constexpr int64_t kMaxMarkBytes = 4 << 20;
constexpr int64_t kTurnsBetweenMarks = 50;

bool derived_by(const std::vector<std::unique_ptr<Reflector>>& reflectors, const std::string& kind) {
  return std::any_of(reflectors.begin(), reflectors.end(), [&](const auto& one) {
    const std::vector<std::string> kinds = one->kinds();
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  });
}

}  // namespace

// A file that cannot be read is no progress: turns are looked at again, which does no harm.
Reached::Marks Reached::read() {
  Marks marks;
  auto bytes = read_file(env_, path_, kMaxMarkBytes);
  if (!bytes.ok()) return marks;
  auto json = parse_json({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!json.ok() || !json->is_object()) return marks;
  for (const auto& [key, value] : json->as_object()) {
    if (value.is_string()) marks[key] = value.as_string();
  }
  return marks;
}

std::optional<CubeId> Reached::find(const std::string& key) {
  std::lock_guard lock(mutex_);
  const Marks marks = read();
  const auto found = marks.find(key);
  if (found == marks.end()) return std::nullopt;
  auto id = CubeId::parse(found->second);
  return id.ok() ? std::optional<CubeId>(*id) : std::nullopt;
}

void Reached::change(const std::string& key, CubeId mark) {
  std::lock_guard lock(mutex_);
  Marks marks = read();
  marks[key] = mark.text();
  if (mark == CubeId{}) marks.erase(key);
  Json all = Json::object();
  for (const auto& [name, id] : marks) all.set(name, id);
  const std::string text = all.dump(1) + "\n";
  write_file(env_, path_, std::as_bytes(std::span(text))).ignore("a mark lost is a turn looked at twice");
}

std::optional<CubeId> Reached::reached(const Principal& who) {
  return find(who.name + " " + reflectors_);
}
void Reached::reach(const Principal& who, CubeId mark) {
  change(who.name + " " + reflectors_, mark);
}
std::optional<CubeId> Reached::cut_off(const Principal& who) {
  return find(who.name + " past " + reflectors_);
}
void Reached::cut_off_at(const Principal& who, CubeId mark) {
  change(who.name + " past " + reflectors_, mark);
}

Result<PastCount> reflect_on_past(Home& home, const Principal& who, const PastOptions& options,
                                  const std::function<bool(const PastCount&)>& tell) {
  const std::string space = options.space.empty() ? who.name : options.space;
  PastCount count;
  Reached marks(posix_env(), home.folder(), home.options().reflector + " " + space);
  std::optional<CubeId> begin = marks.cut_off(who);
  const TimeMs now = home.clock().now_ms();
  if (options.rebuild) {
    begin.reset();
    for (const auto& reflector : home.reflectors()) {
      const Dropped dropped =
          TRY(drop_derived({who, home.cubes(), home.recall(), home.embedder()}, *reflector, space));
      count.dropped.erased += dropped.erased;
      count.dropped.closed += dropped.closed;
    }
  }
  PastTurns past(home.cubes(), who, space, begin);
  for (;;) {
    const auto turn = TRY(past.next());
    if (!turn) break;
    if (options.since && turn->time < *options.since) continue;
    auto stored = home.learn(who, *turn, options.rebuild ? now : 0);
    ++count.turns;
    if (stored.ok()) {
      count.stored += int64_t(stored->size());
    } else {
      ++count.failed;
      count.trouble = std::string(std::move(stored).status().message());
    }
    if (count.turns % kTurnsBetweenMarks != 0) continue;
    if (past.mark()) marks.cut_off_at(who, *past.mark());
    if (tell && !tell(count)) return count;
  }
  marks.cut_off_at(who, {});
  Governance& governance = home.cubes().governance();
  auto again = home.learn_again(who);
  if (again.ok()) count.again = int64_t(again->size());
  if (!again.ok()) count.trouble = std::string(std::move(again).status().message());
  for (const Rebuild& lost : TRY(governance.rebuilds(who))) {
    const bool anew = options.rebuild && lost.space == space && derived_by(home.reflectors(), lost.kind);
    if (anew) TRY(governance.rebuilt(who, lost.lost));  // as all others of its kind, from what is left
    count.waiting += !anew;
  }
  return count;
}

}  // namespace varve

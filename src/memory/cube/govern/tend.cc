// Upkeep of a space: what is due expires, and above the cap the least valuable bytes go first. Evidence stays
// unless the rules say otherwise.
#include <algorithm>
#include <cmath>

#include "memory/cube/store/sqlite_store.h"

namespace varve {
namespace {

constexpr int64_t kRowBytes = 64;   // what a cube costs beside its words, so that no byte is worth infinity
constexpr int64_t kSparePart = 20;  // a put that passes the cap frees a twentieth, so that few puts evict
constexpr size_t kEvictedAtOnce = 10000;  // a transaction has its bounds; the next goes on

double decayed(double strength, TimeMs age, int64_t half_life_ms) {
  if (half_life_ms == 0) return strength;
  return strength * std::exp2(-double(std::max<TimeMs>(age, 0)) / double(half_life_ms));
}

}  // namespace

Result<int64_t> Change::expire_due(const std::string& space) {
  std::vector<std::pair<CubeId, TimeMs>> due;
  {
    auto row = TRY(db_->query(
        "SELECT v.id, v.valid_to FROM versions v JOIN cubes c ON c.id = v.id AND c.version = v.version WHERE "
        "v.valid_to IS NOT NULL AND v.valid_to <= ?1 AND c.space = ?2 AND c.life = 1 ORDER BY v.id",
        now_, space));
    while (TRY(row.step())) {
      if (row.view(0).size() != 16) continue;
      std::memcpy(due.emplace_back().first.bytes.data(), row.view(0).data(), 16);
      due.back().second = row.integer(1);
    }
  }
  for (const auto& [id, ended] : due) {
    CubeState state = TRY(living(id));
    state.life = Life::expired;
    state.ended = ended;
    TRY(save(state));
    TRY(note("expired", state, "its time was over", true));
  }
  return int64_t(due.size());
}

// The active cubes whose bytes are worth least, in that order, ties by age; and how much is active in all.
Result<std::vector<Weighed>> Change::weigh(const std::string& space, const SpaceRules& rules,
                                           int64_t& active_bytes) const {
  const auto before = [](const Weighed& a, const Weighed& b) {
    return a.value != b.value ? a.value < b.value : a.id < b.id;
  };
  std::vector<Weighed> lowest;  // a heap with the most valuable in front
  auto row = TRY(db_->query(
      "SELECT c.id, v.payload_bytes, c.strength, coalesce(c.used, v.recorded), c.kind FROM cubes c JOIN "
      "versions v ON v.id = c.id AND v.version = c.version WHERE c.space = ? AND c.life = 1",
      space));
  while (TRY(row.step())) {
    Weighed one{.bytes = row.integer(1)};
    active_bytes += one.bytes;
    const bool stays = one.bytes == 0 || (!rules.evidence && is_evidence(row.view(4)));
    if (rules.cap_bytes == 0 || stays || row.view(0).size() != 16) continue;
    std::memcpy(one.id.bytes.data(), row.view(0).data(), 16);
    one.value =
        decayed(row.real(2), now_ - row.integer(3), rules.half_life_ms) / double(one.bytes + kRowBytes);
    if (lowest.size() == kEvictedAtOnce) {
      if (!before(one, lowest.front())) continue;
      std::pop_heap(lowest.begin(), lowest.end(), before);
      lowest.pop_back();
    }
    lowest.push_back(one);
    std::push_heap(lowest.begin(), lowest.end(), before);
  }
  std::sort_heap(lowest.begin(), lowest.end(), before);
  return lowest;
}

// Archived, and its words dropped if the rules say so: what was derived from it stays.
Status Change::evict(CubeId id, bool drop) {
  CubeState state = TRY(living(id));
  state.life = Life::archived;
  state.life_before.reset();
  TRY(save(state));
  TRY(note("archived", state, "evicted: the space is full", true));
  if (drop) TRY(bury(std::move(state)));
  return {};
}

Result<Tended> Change::tend(const std::string& space, int64_t spare_part) {
  TRY(view_.rights().need(Right::write, space));
  const SpaceRules rules = TRY(read_rules(*db_, space));
  const int64_t spare = spare_part == 0 ? 0 : rules.cap_bytes / spare_part;
  Tended done;
  done.expired = TRY(expire_due(space));
  const std::vector<Weighed> lowest = TRY(weigh(space, rules, done.active_bytes));
  for (const Weighed& one : lowest) {
    const int64_t most = done.archived == 0 ? rules.cap_bytes : std::max<int64_t>(rules.cap_bytes - spare, 0);
    if (done.active_bytes <= most) break;
    TRY(evict(one.id, rules.drop));
    ++done.archived;
    done.dropped += rules.drop;
    done.active_bytes -= one.bytes;
  }
  return done;
}

Result<Tended> SqliteStore::tend(const Principal& who, const std::string& space) {
  return write(who, [&](Change& change) { return change.tend(space); });
}

// Whether a space may have passed its cap: what was put is added to what was measured last.
Result<bool> SqliteStore::full(const std::string& space, int64_t grown) {
  std::lock_guard lock(connection_);
  TRY(ready());
  const SpaceRules rules = TRY(read_rules(*db_, space));
  const auto known = active_bytes_.find(space);
  if (known == active_bytes_.end()) return rules.cap_bytes > 0;
  known->second += grown;
  return rules.cap_bytes > 0 && known->second > rules.cap_bytes;
}

// With the writing lock held, in the name of whose rules they are. A failure is no failure of the put: the
// next one tries again.
void SqliteStore::make_room(const std::map<std::string, int64_t>& grown) {
  for (const auto& [space, bytes] : grown) {
    const auto over = full(space, bytes);
    if (!over.ok() || !*over) continue;
    const Principal owner{std::string(owner_of(space))};
    Tended done;
    Turn turn{owner, [&, &name = space](Change& change) {
                auto tended = change.tend(name, kSparePart);
                if (tended.ok()) done = *tended;
                return tended.code();
              }};
    write_together({&turn});
    if (turn.failed.ok() && !turn.refused) active_bytes_[space] = done.active_bytes;
  }
}

}  // namespace varve

// The store as its owners and admins see it: each call a view or a change, as everywhere.
#include "memory/cube/governance.h"

#include "memory/cube/store/sqlite_store.h"

namespace varve {
namespace {

// What is active in a space: how many, and how many bytes.
Status measure(sql::Database& database, Space& space) {
  auto row = TRY(database.query(
      "SELECT count(*), coalesce(sum(v.payload_bytes), 0) FROM cubes c JOIN versions v ON v.id = c.id AND "
      "v.version = c.version WHERE c.space = ? AND c.life = 1",
      space.name));
  if (!TRY(row.step())) return {};
  space.cubes = row.integer(0);
  space.active_bytes = row.integer(1);
  return {};
}

bool take(std::string_view raw, CubeId& id) {
  if (raw.size() != id.bytes.size()) return false;
  std::memcpy(id.bytes.data(), raw.data(), raw.size());
  return true;
}

}  // namespace

Result<std::vector<Space>> SqliteStore::spaces(const Principal& who) const {
  return read(who, [&](View& view) -> Result<std::vector<Space>> {
    std::vector<Space> all;
    for (const std::string& name : view.rights().readable()) {
      Space& space = all.emplace_back();
      space.name = name;
      space.owner = owner_of(name);
      space.rights = view.rights().in(name);
      space.rules = TRY(read_rules(*db_, name));
      if (who.session.empty()) TRY(measure(*db_, space));
    }
    return all;
  });
}

Result<std::vector<Grant>> SqliteStore::grants(const Principal& who, const std::string& space) const {
  return read(who, [&](View& view) -> Result<std::vector<Grant>> {
    TRY(view.rights().need(Right::read, space));
    return read_grants(*db_, space, view.rights().may(Right::admin, space) ? "" : who.name);
  });
}

Status SqliteStore::lend(const Principal& who, const std::string& agent, uint8_t rights) {
  return write(who, [&](Change& change) { return change.lend(agent, rights); });
}

Result<std::vector<Grant>> SqliteStore::lent(const Principal& who) const {
  return read(who, [&](View& view) -> Result<std::vector<Grant>> {
    TRY(view.rights().need(Right::admin, who.name));
    return read_loans(*db_, who.name);
  });
}

Result<SpaceRules> SqliteStore::rules(const Principal& who, const std::string& space) const {
  return read(who, [&](View& view) -> Result<SpaceRules> {
    TRY(view.rights().need(Right::read, space));
    return read_rules(*db_, space);
  });
}

Status SqliteStore::set_rules(const Principal& who, const std::string& space, const SpaceRules& rules) {
  return write(who, [&](Change& change) { return change.set_rules(space, rules); });
}

Result<uint32_t> SqliteStore::restore(const Principal& who, CubeId id, uint32_t version,
                                      uint32_t base_version, std::string why) {
  return write(who,
               [&](Change& change) { return change.restore(id, version, base_version, std::move(why)); });
}

Result<CubeHeader> SqliteStore::as_of(const Principal& who, CubeId id, TimeMs recorded_at) const {
  return read(who,
              [&](View& view) -> Result<CubeHeader> { return view.as_of(TRY(view.find(id)), recorded_at); });
}

Result<std::vector<Conflict>> SqliteStore::conflicts(const Principal& who, const std::string& space,
                                                     bool all) const {
  return read(who, [&](View& view) -> Result<std::vector<Conflict>> {
    std::vector<Conflict> found;
    auto row = TRY(
        db_->query(all ? "SELECT newer, older, verdict FROM supersedes ORDER BY newer"
                       : "SELECT newer, older, verdict FROM supersedes WHERE verdict <> 0 ORDER BY newer"));
    while (TRY(row.step())) {
      Conflict one{.closed = row.integer(2) < 2, .open = row.integer(2) != 0};
      if (!take(row.view(0), one.newer) || !take(row.view(1), one.older)) continue;
      const auto newer = TRY(view.rows().state(one.newer)), older = TRY(view.rows().state(one.older));
      if (!newer || !older || !view.sees(*newer) || !view.sees(*older)) continue;
      if (space.empty() || newer->space == space || older->space == space) found.push_back(one);
    }
    return found;
  });
}

Status SqliteStore::settle(const Principal& who, CubeId newer, CubeId older, Verdict verdict,
                           std::string why) {
  return write(who, [&](Change& change) { return change.settle(newer, older, verdict, why); });
}

Result<std::vector<Rebuild>> SqliteStore::rebuilds(const Principal& who) const {
  return read(who, [&](View& view) -> Result<std::vector<Rebuild>> {
    std::vector<Rebuild> all;
    auto row = TRY(db_->query("SELECT lost, source FROM rebuilds ORDER BY lost, source"));
    while (TRY(row.step())) {
      CubeId lost, source;
      if (!take(row.view(0), lost) || !take(row.view(1), source)) continue;
      const auto state = TRY(view.rows().state(lost)), from = TRY(view.rows().state(source));
      if (!state || !from || !view.sees(*state) || !view.sees(*from)) continue;
      if (all.empty() || all.back().lost != lost)
        all.push_back({.lost = lost, .kind = state->kind, .space = state->space});
      all.back().from.push_back(source);
    }
    return all;
  });
}

Status SqliteStore::rebuilt(const Principal& who, CubeId lost) {
  return write(who, [&](Change& change) { return change.rebuilt(lost); });
}

Result<std::vector<JournalEntry>> SqliteStore::audit(const Principal& who, const AuditQuery& query) const {
  if (query.limit < 1 || query.limit > 10000)
    return Status(Code::invalid, "an audit has 1 to 10000 entries, not " + std::to_string(query.limit));
  return read(who, [&](View& view) -> Result<std::vector<JournalEntry>> {
    if (!query.space.empty()) TRY(view.rights().need(Right::admin, query.space));
    static const std::string sql = "SELECT " + std::string(kJournalColumns) +
                                   " FROM journal WHERE sequence > ?1 AND (?2 = '' OR space = ?2) ORDER BY "
                                   "sequence";
    std::vector<JournalEntry> all;
    auto row = TRY(db_->query(sql, query.after, query.space));
    while (int32_t(all.size()) < query.limit && TRY(row.step())) {
      JournalEntry entry = TRY(read_journal_row(row)).entry;
      if (view.rights().may(Right::admin, entry.space)) all.push_back(std::move(entry));
    }
    return all;
  });
}

}  // namespace varve

#include "memory/cube/store/view.h"

#include <algorithm>

#include "memory/cube/govern/journal.h"

namespace varve {
namespace {

bool within(int64_t life) {
  return life >= 0 && life <= int64_t(Life::erased);
}

}  // namespace

Result<View> View::open(sql::Database& database, Blobs& blobs, const Principal& who) {
  return View(database, blobs, TRY(Rights::load(database, who)));
}

Result<CubeState> View::find(CubeId id, Right need) const {
  const auto state = TRY(rows_.state(id));
  if (!state || !sees(*state)) {
    return Status(Code::not_found, "there is no cube " + id.text());
  }
  if (!rights_.may(need, state->space)) {
    return Status(Code::denied, "you may read space " + state->space + ", but not change it");
  }
  return *state;
}

Result<bool> View::visible(CubeId id) const {
  const auto state = TRY(rows_.state(id));
  return state && sees(*state);
}

bool View::sees(const CubeState& state) const {
  return rights_.may(Right::read, state.space) && rights_.reaches(state.session);
}

Result<CubeHeader> View::header(const CubeState& state, uint32_t version) const {
  CubeHeader h = TRY(rows_.header(state, version));
  std::vector<Source> seen;
  for (const Source& source : h.from) {
    if (TRY(visible(source.cube))) seen.push_back(source);
  }
  for (std::vector<CubeId>* others : {&h.supersedes, &h.contradicts}) {
    std::vector<CubeId> older;
    for (const CubeId& id : *others) {
      if (TRY(visible(id))) older.push_back(id);
    }
    *others = std::move(older);
  }
  h.from = std::move(seen);
  return h;
}

Result<std::string> View::payload(CubeId id, uint32_t version) const {
  return rows_.payload(TRY(rows_.header(TRY(find(id)), version)));
}

Result<std::vector<CubeHeader>> View::history(CubeId id) const {
  const CubeState state = TRY(find(id));
  std::vector<CubeHeader> all;
  auto row = TRY(db_->query("SELECT version FROM versions WHERE id = ? ORDER BY version", id.bytes));
  while (TRY(row.step())) all.push_back(TRY(header(state, uint32_t(row.integer(0)))));
  return all;
}

Result<std::vector<CubeId>> View::page(const CubeFilter& filter, CubeId after, int64_t limit) const {
  const auto spaces = filter.space.empty() ? rights_.readable() : std::vector{filter.space};
  const bool past = filter.valid_at || filter.recorded_at;  // its life then is found later
  std::vector<CubeId> ids;
  for (const std::string& space : spaces) {
    if (!rights_.may(Right::read, space)) continue;
    const std::string sql =  // a statement for each index
        "SELECT id FROM cubes WHERE space = ?1 AND id > ?2 AND " +
        std::string(!filter.origin.empty()   ? "origin = ?8 AND origin <> '' AND (?3 = '' OR session = ?3)"
                    : filter.session.empty() ? "?3 = '' AND ?8 = ''"
                                             : "session = ?3 AND ?8 = ''") +
        " AND (?4 = '' OR kind = ?4) AND (?5 < 0 OR form = ?5) AND (?6 < 0 OR life = ?6) ORDER BY id LIMIT "
        "?7";
    auto row = TRY(db_->query(sql, space, after.bytes, filter.session, filter.kind,
                              filter.form ? int64_t(*filter.form) : -1,
                              filter.life && !past ? int64_t(*filter.life) : -1, limit, filter.origin));
    while (TRY(row.step())) {
      const std::string_view raw = row.view(0);
      if (raw.size() == 16) std::memcpy(ids.emplace_back().bytes.data(), raw.data(), 16);
    }
  }
  std::sort(ids.begin(), ids.end());
  if (int64_t(ids.size()) > limit) ids.resize(size_t(limit));
  return ids;
}

Result<CubeHeader> View::as_of(const CubeState& state, TimeMs recorded_at) const {
  auto version = TRY(db_->number("SELECT max(version) FROM versions WHERE id = ? AND recorded <= ?",
                                 state.id.bytes, recorded_at));
  if (state.life == Life::erased) version = state.version;  // all that is left
  auto row = TRY(
      db_->query("SELECT life, ended FROM journal WHERE cube = ? AND time <= ? AND life IS NOT NULL ORDER BY "
                 "sequence DESC LIMIT 1",
                 state.id.bytes, recorded_at));
  if (!version || !TRY(row.step()) || !within(row.integer(0))) {
    return Status(Code::not_found,
                  "cube " + state.id.text() + " was not there at " + format_time(recorded_at));
  }
  CubeState then = state;
  if (state.life != Life::erased) then.life = Life(row.integer(0));
  then.ended = row.maybe(1);
  return header(then, uint32_t(*version));
}

// The header that the filter asks of a cube, if it asks for one: of now, or of then.
Result<std::optional<CubeHeader>> View::chosen(const CubeState& state, const CubeFilter& filter) const {
  auto found = filter.recorded_at ? as_of(state, *filter.recorded_at) : header(state);
  // One damaged cube must not hide the others; check() names it.
  if (found.code() == Code::corrupt || (filter.recorded_at && found.code() == Code::not_found))
    return std::optional<CubeHeader>();
  CubeHeader h = TRY(std::move(found));
  if (filter.valid_at) {
    const bool held = (h.life == Life::active || h.life == Life::expired) &&
                      (!h.valid_from || *h.valid_from <= *filter.valid_at) &&
                      (!h.valid_to || *filter.valid_at < *h.valid_to);
    if (!held) return std::optional<CubeHeader>();
  } else if (filter.life && h.life != *filter.life) {
    return std::optional<CubeHeader>();
  }
  return std::optional(std::move(h));
}

Result<std::vector<CubeHeader>> View::list(const CubeFilter& asked) const {
  if (asked.limit < 1 || asked.limit > 10000) {
    return Status(Code::invalid, "a list has 1 to 10000 cubes, not " + std::to_string(asked.limit));
  }
  CubeFilter filter = asked;
  if (filter.session.empty()) filter.session = rights_.session();
  if (!rights_.reaches(filter.session)) return std::vector<CubeHeader>();
  std::vector<CubeHeader> all;
  CubeId after = filter.after.value_or(CubeId{});
  while (int32_t(all.size()) < filter.limit) {
    const auto ids = TRY(page(filter, after, filter.limit - int64_t(all.size())));
    if (ids.empty()) break;
    for (const CubeId& id : ids) {
      auto found = TRY(chosen(TRY(find(id)), filter));
      if (found) all.push_back(std::move(*found));
    }
    after = ids.back();
  }
  return all;
}

Result<std::vector<CubeHeader>> View::derived(CubeId id) const {
  TRY(find(id));
  std::vector<CubeHeader> all;
  for (const CubeId& child :
       TRY(rows_.ids("SELECT DISTINCT child FROM edges WHERE parent = ? ORDER BY child", id))) {
    if (TRY(visible(child))) all.push_back(TRY(header(TRY(find(child)))));
  }
  return all;
}

Result<std::vector<JournalEntry>> View::journal(CubeId id) const {
  TRY(find(id));
  static const std::string sql =
      "SELECT " + std::string(kJournalColumns) + " FROM journal WHERE cube = ? ORDER BY sequence";
  auto row = TRY(db_->query(sql, id.bytes));
  std::vector<JournalEntry> all;
  while (TRY(row.step())) all.push_back(TRY(read_journal_row(row)).entry);
  return all;
}

}  // namespace varve

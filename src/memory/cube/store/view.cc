#include "memory/cube/store/view.h"

#include <algorithm>

namespace varve {

Result<View> View::open(sql::Database& database, Blobs& blobs, const Principal& who) {
  return View(database, blobs, TRY(Rights::load(database, who)));
}

Result<CubeState> View::find(CubeId id, Right need) const {
  const auto state = TRY(rows_.state(id));
  if (!state || !rights_.may(Right::read, state->space)) {
    return Status(Code::not_found, "there is no cube " + id.text());
  }
  if (!rights_.may(need, state->space)) {
    return Status(Code::denied, "you may read space " + state->space + ", but not change it");
  }
  return *state;
}

Result<bool> View::visible(CubeId id) const {
  const auto state = TRY(rows_.state(id));
  return state && rights_.may(Right::read, state->space);
}

Result<CubeHeader> View::header(const CubeState& state, uint32_t version) const {
  CubeHeader h = TRY(rows_.header(state, version));
  std::vector<Source> seen;
  for (const Source& source : h.from) {
    if (TRY(visible(source.cube))) seen.push_back(source);
  }
  std::vector<CubeId> older;
  for (const CubeId& id : h.supersedes) {
    if (TRY(visible(id))) older.push_back(id);
  }
  h.from = std::move(seen);
  h.supersedes = std::move(older);
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
                              filter.life ? int64_t(*filter.life) : -1, limit, filter.origin));
    while (TRY(row.step())) {
      const std::string_view raw = row.view(0);
      if (raw.size() == 16) std::memcpy(ids.emplace_back().bytes.data(), raw.data(), 16);
    }
  }
  std::sort(ids.begin(), ids.end());
  if (int64_t(ids.size()) > limit) ids.resize(size_t(limit));
  return ids;
}

Result<std::vector<CubeHeader>> View::list(const CubeFilter& filter) const {
  if (filter.limit < 1 || filter.limit > 10000) {
    return Status(Code::invalid, "a list has 1 to 10000 cubes, not " + std::to_string(filter.limit));
  }
  std::vector<CubeHeader> all;
  CubeId after = filter.after.value_or(CubeId{});
  while (int32_t(all.size()) < filter.limit) {
    const auto ids = TRY(page(filter, after, filter.limit - int64_t(all.size())));
    if (ids.empty()) break;
    for (const CubeId& id : ids) {
      auto found = header(TRY(find(id)));
      if (found.code() == Code::corrupt)
        continue;  // one damaged cube must not hide the others; check() names it
      all.push_back(TRY(std::move(found)));
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
  auto row = TRY(db_->query(
      "SELECT sequence, time, principal, action, version, why FROM journal WHERE cube = ? ORDER BY sequence",
      id.bytes));
  std::vector<JournalEntry> all;
  while (TRY(row.step())) {
    JournalEntry& entry = all.emplace_back();
    entry.sequence = row.integer(0);
    entry.time = row.integer(1);
    entry.principal = row.text(2);
    entry.action = row.text(3);
    entry.version = uint32_t(row.integer(4));
    entry.why = row.text(5);
    entry.cube = id;
  }
  return all;
}

}  // namespace varve

#include "memory/cube/store/fsck.h"

#include "memory/cube/govern/journal.h"
#include "memory/cube/govern/rights.h"
#include "memory/cube/govern/rules.h"

namespace varve {
namespace {

struct Stray {
  std::string_view what, table, where;
  bool safe;  // to take away: nobody can miss it, and no checksum covers it
};
constexpr Stray kStrays[] = {
    {"versions belong to no cube", "versions", "id NOT IN (SELECT id FROM cubes)", false},
    {"provenance edges belong to no version", "edges",
     "NOT EXISTS (SELECT 1 FROM versions v WHERE v.id = child AND v.version = child_version)", true},
    {"provenance edges lead to no cube", "edges", "parent NOT IN (SELECT id FROM cubes)", false},
    {"supersede edges lead to no living cube", "supersedes",
     "newer NOT IN (SELECT id FROM cubes WHERE life <> 4) OR older NOT IN (SELECT id FROM cubes WHERE life "
     "<> "
     "4)",
     true},
    {"rebuilds are due from no living cube", "rebuilds",
     "source NOT IN (SELECT id FROM cubes WHERE life <> 4) OR lost NOT IN (SELECT id FROM cubes)", true},
};

class Check {
 public:
  Check(sql::Database& database, Blobs& blobs) : db_(database), blobs_(blobs), rows_(database, blobs) {}

  Result<std::vector<std::string>> all() {
    TRY(pages());
    TRY(cubes());
    for (const Stray& one : kStrays) TRY(stray(one));
    TRY(check_grants(db_, problems_));
    TRY(check_rule_rows(db_, problems_));
    TRY(check_journal(db_, problems_));
    TRY(orphans());
    return std::move(problems_);
  }

 private:
  Status pages() {
    auto row = TRY(db_.query("PRAGMA integrity_check(20)"));
    while (TRY(row.step())) {
      if (row.view(0) != "ok") problems_.push_back("cubes.db: " + row.text(0));
    }
    return {};
  }

  Status cubes() {
    auto row = TRY(db_.query("SELECT id FROM cubes ORDER BY id"));
    while (TRY(row.step())) {
      CubeId id;
      if (row.view(0).size() != id.bytes.size()) {
        problems_.push_back("a cube's id has another length than 16 bytes");
        continue;
      }
      std::memcpy(id.bytes.data(), row.view(0).data(), id.bytes.size());
      TRY(cube(id));
    }
    return {};
  }

  Status cube(CubeId id) {
    const auto state = TRY(rows_.state(id));
    if (!state) {
      problems_.push_back("cube " + id.text() + " is in an index, but not in the table");
      return {};
    }
    auto version = TRY(db_.query("SELECT version FROM versions WHERE id = ? ORDER BY version", id.bytes));
    uint32_t expected = state->life == Life::erased ? state->version : 1;
    for (; TRY(version.step()); ++expected) {
      const auto number = uint32_t(version.integer(0));
      if (number != expected)
        problems_.push_back("cube " + id.text() + ": a version before " + std::to_string(number) +
                            " is missing");
      expected = number;
      TRY(read(*state, number));
    }
    if (expected != state->version + 1) problems_.push_back("cube " + id.text() + ": versions are missing");
    return {};
  }

  Status read(const CubeState& state, uint32_t version) {
    auto header = rows_.header(state, version);
    if (header.code() == Code::corrupt) {
      problems_.emplace_back(std::move(header).status().message());
      return {};
    }
    auto payload = rows_.payload(TRY(std::move(header)));
    if (payload.code() == Code::corrupt) {
      problems_.emplace_back(std::move(payload).status().message());
    } else if (state.life == Life::erased ? payload.ok() : !payload.ok()) {
      problems_.push_back("cube " + state.id.text() + " is " + std::string(to_string(state.life)) +
                          ", but its words are not");
    }
    return {};
  }

  Status stray(const Stray& one) {
    const std::string sql =
        "SELECT count(*) FROM " + std::string(one.table) + " WHERE " + std::string(one.where);
    const int64_t count = TRY(db_.number(sql)).value_or(0);
    if (count > 0) problems_.push_back(std::to_string(count) + " " + std::string(one.what));
    return {};
  }

  Status orphans() {
    return blobs_.each([&](const std::string& path, const std::optional<Hash256>& name) -> Status {
      if (name && TRY(named(db_, *name))) return {};
      problems_.push_back(path + " belongs to no cube; it is removed when the store opens");
      return {};
    });
  }

  sql::Database& db_;
  Blobs& blobs_;
  CubeRows rows_;
  std::vector<std::string> problems_;
};

}  // namespace

Result<std::vector<std::string>> check_store(sql::Database& database, Blobs& blobs) {
  return Check(database, blobs).all();
}

Result<std::vector<std::string>> repair_store(sql::Database& database) {
  std::vector<std::string> done;
  for (const Stray& one : kStrays) {
    if (!one.safe) continue;
    TRY(database.run("DELETE FROM " + std::string(one.table) + " WHERE " + std::string(one.where)));
    const int64_t count = TRY(database.number("SELECT changes()")).value_or(0);
    if (count > 0) done.push_back(std::to_string(count) + " " + std::string(one.what) + ": taken away");
  }
  TRY(drop_damaged_grants(database, done));
  return done;
}

}  // namespace varve

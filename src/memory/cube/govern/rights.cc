#include "memory/cube/govern/rights.h"

namespace varve {
namespace {

constexpr uint8_t kRead = uint8_t(Right::read), kWrite = uint8_t(Right::write),
                  kAdmin = uint8_t(Right::admin);

int64_t crc_of(std::string_view principal, std::string_view space, int64_t rights) {
  const std::string row = std::string(principal) + '\n' + std::string(space) + '\n' + std::to_string(rights);
  return crc32c(std::as_bytes(std::span(row)));
}

uint8_t implied(int64_t rights) {
  if (rights & kAdmin) return kAdmin | kWrite | kRead;
  if (rights & kWrite) return kWrite | kRead;
  return uint8_t(rights & kRead);
}

// A damaged row grants nothing; check() names it.
Result<uint8_t> loan(sql::Database& database, const Principal& who) {
  auto row =
      TRY(database.query("SELECT rights, crc FROM lends WHERE user = ? AND agent = ?", who.name, who.agent));
  if (!TRY(row.step()) || row.integer(1) != crc_of(who.agent, who.name, row.integer(0))) return uint8_t(0);
  return implied(row.integer(0));
}

struct Table {
  std::string_view name, whose, space, what;
};
constexpr Table kTables[] = {{"grants", "principal", "space", "a grant of space "},
                             {"lends", "agent", "user", "a loan of the rights of "}};

// The damaged rows of a table, as (whose, space).
Result<std::vector<std::pair<std::string, std::string>>> damaged_rows(sql::Database& database,
                                                                      const Table& table) {
  std::vector<std::pair<std::string, std::string>> all;
  auto row = TRY(database.query("SELECT " + std::string(table.whose) + ", " + std::string(table.space) +
                                ", rights, crc FROM " + std::string(table.name)));
  while (TRY(row.step())) {
    if (row.integer(3) != crc_of(row.view(0), row.view(1), row.integer(2)))
      all.emplace_back(row.text(0), row.text(1));
  }
  return all;
}

}  // namespace

std::string_view owner_of(std::string_view space) {
  return space.substr(0, space.find(':'));
}

std::string_view role(uint8_t rights) {
  rights = implied(rights);
  return rights & kAdmin ? "admin" : rights & kWrite ? "writer" : rights & kRead ? "reader" : "nobody";
}

Result<Rights> Rights::load(sql::Database& database, const Principal& who) {
  TRY(check_name("a principal", who.name));
  Rights all(who);
  if (!who.agent.empty()) {
    TRY(check_name("an agent", who.agent));
    all.most_ = TRY(loan(database, who));
  }
  if (!who.session.empty()) {
    TRY(check_text("the session", who.session, kMaxNameBytes));
    all.most_ &= kRead | kWrite;
  }
  auto row = TRY(database.query("SELECT space, rights, crc FROM grants WHERE principal = ?", who.name));
  while (TRY(row.step())) {
    const std::string space = row.text(0);
    if (row.integer(2) == crc_of(who.name, space, row.integer(1)))
      all.by_space_[space] = implied(row.integer(1));
  }
  auto own = TRY(database.query("SELECT space FROM spaces WHERE space > ? AND space < ?", who.name + ":",
                                who.name + ";"));
  while (TRY(own.step())) all.by_space_[own.text(0)] = implied(kAdmin);
  all.by_space_[who.name] = implied(kAdmin);
  return all;
}

Status Rights::save(sql::Database& database, std::string_view principal, std::string_view space,
                    uint8_t rights) {
  if (rights == 0)
    return database.run("DELETE FROM grants WHERE principal = ? AND space = ?", principal, space);
  return database.run(
      "INSERT INTO grants VALUES(?1, ?2, ?3, ?4) ON CONFLICT(principal, space) DO UPDATE SET rights = ?3, "
      "crc = ?4",
      principal, space, int64_t(rights), crc_of(principal, space, rights));
}

Status Rights::lend(sql::Database& database, std::string_view user, std::string_view agent, uint8_t rights) {
  if (rights == 0) return database.run("DELETE FROM lends WHERE user = ? AND agent = ?", user, agent);
  return database.run(
      "INSERT INTO lends VALUES(?1, ?2, ?3, ?4) ON CONFLICT(user, agent) DO UPDATE SET rights = ?3, crc = ?4",
      user, agent, int64_t(rights), crc_of(agent, user, rights));
}

bool Rights::owns(std::string_view space) const {
  return owner_of(space) == who_.name;
}

uint8_t Rights::in(std::string_view space) const {
  if (owns(space)) return implied(kAdmin) & most_;
  const auto found = by_space_.find(space);
  return found == by_space_.end() ? 0 : found->second & most_;
}

Status Rights::need(Right right, std::string_view space) const {
  if (may(right, space)) return {};
  if (!may(Right::read, space)) {
    const std::string name(space), own = name.find(':') == name.npos ? "; one of your own is :" + name : "";
    return Status(Code::not_found, "there is no space " + name + " that you may use" + own);
  }
  if (right == Right::admin)
    return Status(Code::denied, "only an admin of space " + std::string(space) + " may do that");
  return Status(Code::denied, "you may read space " + std::string(space) + ", but not write to it");
}

std::vector<std::string> Rights::readable() const {
  std::vector<std::string> spaces;
  for (const auto& [space, rights] : by_space_) {
    if (may(Right::read, space)) spaces.push_back(space);
  }
  return spaces;
}

Status check_grants(sql::Database& database, std::vector<std::string>& problems) {
  for (const Table& table : kTables) {
    const auto rows = TRY(damaged_rows(database, table));
    for (const auto& [whose, space] : rows) {
      problems.push_back(std::string(table.what) + space + " to " + whose +
                         " is damaged and grants nothing: grant it again");
    }
  }
  return {};
}

Status drop_damaged_grants(sql::Database& database, std::vector<std::string>& done) {
  for (const Table& table : kTables) {
    const auto rows = TRY(damaged_rows(database, table));
    for (const auto& [whose, space] : rows) {
      TRY(database.run("DELETE FROM " + std::string(table.name) + " WHERE " + std::string(table.whose) +
                           " = ? AND " + std::string(table.space) + " = ?",
                       whose, space));
      done.push_back(std::string(table.what) + space + " to " + whose + ", which was damaged: taken away");
    }
  }
  return {};
}

Result<std::vector<Grant>> read_grants(sql::Database& database, const std::string& space,
                                       std::string_view principal) {
  std::vector<Grant> all;
  auto row = TRY(database.query(
      "SELECT principal, rights FROM grants WHERE space = ?1 AND (?2 = '' OR principal = ?2) ORDER BY 1",
      space, principal));
  while (TRY(row.step())) all.push_back({space, row.text(0), uint8_t(row.integer(1))});
  return all;
}

Result<std::vector<Grant>> read_loans(sql::Database& database, const std::string& user) {
  std::vector<Grant> all;
  auto row = TRY(database.query("SELECT agent, rights FROM lends WHERE user = ? ORDER BY 1", user));
  while (TRY(row.step())) all.push_back({user, row.text(0), uint8_t(row.integer(1))});
  return all;
}

}  // namespace varve

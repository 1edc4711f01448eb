#include "memory/cube/store/rights.h"

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

}  // namespace

Result<Rights> Rights::load(sql::Database& database, const Principal& who) {
  TRY(check_name("a principal", who.name));
  Rights all;
  auto row = TRY(database.query("SELECT space, rights, crc FROM grants WHERE principal = ?", who.name));
  while (TRY(row.step())) {
    const std::string space = row.text(0);
    // A damaged grant grants nothing; check() names it.
    if (row.integer(2) == crc_of(who.name, space, row.integer(1)))
      all.by_space_[space] = implied(row.integer(1));
  }
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

bool Rights::may(Right right, std::string_view space) const {
  const auto found = by_space_.find(space);
  return found != by_space_.end() && (found->second & uint8_t(right)) != 0;
}

std::vector<std::string> Rights::readable() const {
  std::vector<std::string> spaces;
  for (const auto& [space, rights] : by_space_) {
    if (rights & kRead) spaces.push_back(space);
  }
  return spaces;
}

Status check_grants(sql::Database& database, std::vector<std::string>& problems) {
  auto row = TRY(database.query("SELECT principal, space, rights, crc FROM grants"));
  while (TRY(row.step())) {
    if (row.integer(3) == crc_of(row.view(0), row.view(1), row.integer(2))) continue;
    problems.push_back("a grant of space " + row.text(1) + " to " + row.text(0) +
                       " is damaged and grants nothing: grant it again");
  }
  return {};
}

}  // namespace varve

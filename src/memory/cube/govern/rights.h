// Rights: what one principal may do in which space. Its own spaces are its own by name; all else is granted.
// An agent has of its user's rights what it was lent; who is confined to a session grants nothing.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "memory/cube/governance.h"
#include "memory/cube/store/sqlite.h"

namespace varve {

class Rights {
 public:
  static Result<Rights> load(sql::Database& database, const Principal& who);
  static Status save(sql::Database& database, std::string_view principal, std::string_view space,
                     uint8_t rights);
  static Status lend(sql::Database& database, std::string_view user, std::string_view agent, uint8_t rights);

  uint8_t in(std::string_view space) const;  // bits of Right
  bool may(Right right, std::string_view space) const { return (in(space)&uint8_t(right)) != 0; }
  Status need(Right right, std::string_view space) const;  // not_found, or denied when it may be read
  bool owns(std::string_view space) const;                 // by name, whoever acts for the owner
  bool knows(std::string_view space) const { return by_space_.contains(space); }
  std::vector<std::string> readable() const;  // sorted
  const std::string& session() const { return who_.session; }
  bool reaches(std::string_view session) const { return who_.session.empty() || who_.session == session; }

 private:
  explicit Rights(Principal who) : who_(std::move(who)) {}
  Principal who_;
  uint8_t most_ = 7;                                      // of an agent: what it was lent
  std::map<std::string, uint8_t, std::less<>> by_space_;  // granted, and those of its own that are known
};

std::string_view owner_of(std::string_view space);

// Problems of grants and loans, one line each.
Status check_grants(sql::Database& database, std::vector<std::string>& problems);
Status drop_damaged_grants(sql::Database& database, std::vector<std::string>& done);
Result<std::vector<Grant>> read_grants(sql::Database& database, const std::string& space,
                                       std::string_view principal);  // empty: of all
Result<std::vector<Grant>> read_loans(sql::Database& database, const std::string& user);

}  // namespace varve

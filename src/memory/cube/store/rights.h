// Rights: what one principal may do in which space. Its own space is its own by name; all else is granted.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "memory/cube/cube_store.h"
#include "memory/cube/store/sqlite.h"

namespace varve {

class Rights {
 public:
  static Result<Rights> load(sql::Database& database, const Principal& who);
  static Status save(sql::Database& database, std::string_view principal, std::string_view space,
                     uint8_t rights);

  bool may(Right right, std::string_view space) const;
  std::vector<std::string> readable() const;  // sorted

 private:
  std::map<std::string, uint8_t, std::less<>> by_space_;
};

// Problems of the grants, one line each.
Status check_grants(sql::Database& database, std::vector<std::string>& problems);

}  // namespace varve

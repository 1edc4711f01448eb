// The rows of spaces that have rules, or that were named by their owner.
#pragma once

#include <string>
#include <vector>

#include "memory/cube/governance.h"
#include "memory/cube/store/sqlite.h"

namespace varve {

Status check_rules(const SpaceRules& rules);
// corrupt when its row is damaged: then nothing is guessed. A space without a row has the default.
Result<SpaceRules> read_rules(sql::Database& database, std::string_view space);
Status save_rules(sql::Database& database, std::string_view space, const SpaceRules& rules);
Status check_rule_rows(sql::Database& database, std::vector<std::string>& problems);

}  // namespace varve

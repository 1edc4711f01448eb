// fsck: reads everything and says what is wrong, one line a problem. Names ids, never words.
#pragma once

#include <string>
#include <vector>

#include "memory/cube/store/rows.h"

namespace varve {

Result<std::vector<std::string>> check_store(sql::Database& database, Blobs& blobs);
// Within a transaction. One line for each thing taken away.
Result<std::vector<std::string>> repair_store(sql::Database& database);

}  // namespace varve

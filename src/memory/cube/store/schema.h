// The tables of cubes.db and their migrations: forward only, each one transaction, a newer schema refused.
#pragma once

#include "memory/cube/store/sqlite.h"

namespace varve {

// Makes `database` the store's own (journal, durability, limits) and brings its tables up to date.
Status prepare_store(sql::Database& database);

}  // namespace varve

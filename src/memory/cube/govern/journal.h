// Journal: who did what to which cube when. Entries are only added; each carries a hash over itself and the
// one before, so that an entry that was changed or taken out is noticed. No word of a cube is in it but
// `why`, which the hash leaves out: erasing a cube empties it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "memory/cube/cube_store.h"
#include "memory/cube/store/sqlite.h"

namespace varve {

struct JournalRow {
  JournalEntry entry;
  std::optional<Life> life;     // what the entry made of the cube's life
  std::optional<TimeMs> ended;  // and when its validity ended
};

class Journal {
 public:
  static Result<Journal> tail(sql::Database& database);  // ready to add to
  Status add(JournalRow row);                            // sequence and hash are filled in
  int64_t sequence() const { return sequence_; }
  const Hash256& hash() const { return hash_; }

 private:
  explicit Journal(sql::Database& database) : db_(&database) {}
  sql::Database* db_;
  int64_t sequence_ = 0;
  Hash256 hash_;
};

// Reads the columns of kJournalColumns.
inline constexpr std::string_view kJournalColumns =
    "sequence, time, principal, agent, action, cube, version, space, detail, why, life, ended, hash";
Result<JournalRow> read_journal_row(const sql::Statement& row);

Status chain_journal(sql::Database& database);  // gives every entry its hash, and forbids changing it
Status check_journal(sql::Database& database, std::vector<std::string>& problems);

}  // namespace varve

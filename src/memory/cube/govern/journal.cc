#include "memory/cube/govern/journal.h"

#include "memory/cube/store/row_bytes.h"

namespace varve {
namespace {

std::optional<int64_t> number(const std::optional<Life>& life) {
  return life ? std::optional<int64_t>(int64_t(*life)) : std::nullopt;
}

Hash256 link(const Hash256& before, const JournalRow& row) {
  const JournalEntry& e = row.entry;
  RowBytes bytes;
  bytes.add(before.bytes).add(e.sequence).add(e.time).add(e.principal).add(e.agent).add(e.action);
  bytes.add(e.cube.bytes).add(int64_t(e.version)).add(e.space).add(e.detail);
  return bytes.add(number(row.life)).add(row.ended).hash();
}

const std::string& all_by_sequence() {
  static const std::string sql = "SELECT " + std::string(kJournalColumns) + " FROM journal ORDER BY sequence";
  return sql;
}

}  // namespace

Result<JournalRow> read_journal_row(const sql::Statement& row) {
  JournalRow read;
  JournalEntry& e = read.entry;
  e.sequence = row.integer(0);
  e.time = row.integer(1);
  e.principal = row.text(2);
  e.agent = row.text(3);
  e.action = row.text(4);
  if (row.view(5).size() == 16) std::memcpy(e.cube.bytes.data(), row.view(5).data(), 16);
  e.version = uint32_t(row.integer(6));
  e.space = row.text(7);
  e.detail = row.text(8);
  e.why = row.text(9);
  if (const auto life = row.maybe(10)) read.life = Life(*life);
  read.ended = row.maybe(11);
  if (row.view(12).size() == 32) std::memcpy(e.hash.bytes.data(), row.view(12).data(), 32);
  return read;
}

Result<Journal> Journal::tail(sql::Database& database) {
  Journal journal(database);
  auto row = TRY(database.query("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1"));
  if (!TRY(row.step())) return journal;
  journal.sequence_ = row.integer(0);
  if (row.view(1).size() == 32) std::memcpy(journal.hash_.bytes.data(), row.view(1).data(), 32);
  return journal;
}

Status Journal::add(JournalRow row) {
  JournalEntry& e = row.entry;
  e.sequence = ++sequence_;
  hash_ = link(hash_, row);
  return db_->run(
      "INSERT INTO journal(sequence, time, principal, agent, action, cube, version, space, detail, why, "
      "life, "
      "ended, hash) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      e.sequence, e.time, e.principal, e.agent, e.action, e.cube.bytes, e.version, e.space, e.detail, e.why,
      number(row.life), row.ended, hash_.bytes);
}

Status chain_journal(sql::Database& database) {
  Hash256 before;
  auto row = TRY(database.query(all_by_sequence()));
  while (TRY(row.step())) {
    const JournalRow read = TRY(read_journal_row(row));
    before = link(before, read);
    TRY(database.run("UPDATE journal SET hash = ? WHERE sequence = ?", before.bytes, read.entry.sequence));
  }
  return database.script(R"(
CREATE TRIGGER journal_keeps BEFORE DELETE ON journal
  BEGIN SELECT RAISE(ABORT, 'the journal is only added to'); END;
CREATE TRIGGER journal_stays BEFORE UPDATE OF sequence, time, principal, agent, action, cube, version, space,
  detail, life, ended, hash ON journal BEGIN SELECT RAISE(ABORT, 'the journal is only added to'); END;
)");
}

Status check_journal(sql::Database& database, std::vector<std::string>& problems) {
  Hash256 before;
  int64_t expected = 1;
  auto row = TRY(database.query(all_by_sequence()));
  while (TRY(row.step())) {
    const JournalRow read = TRY(read_journal_row(row));
    if (read.entry.sequence != expected || link(before, read) != read.entry.hash) {
      problems.push_back("the journal was changed at entry " + std::to_string(expected) +
                         ": it proves nothing from there on");
      return {};
    }
    before = read.entry.hash;
    ++expected;
  }
  return {};
}

}  // namespace varve

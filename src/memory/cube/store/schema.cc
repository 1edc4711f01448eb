#include "memory/cube/store/schema.h"

#include "memory/cube/govern/journal.h"

namespace varve {
namespace {

constexpr int64_t kApplication = 0x56525645;  // "VRVE": tells a store from any other SQLite file

// A cube is one row of `cubes` (what may change: life, strength, newest version) and its `versions` (what may
// not). Both carry a CRC of all their fields; edges are covered by the CRC of the version they belong to.
// versions.place: 0 the payload is in this row, 1 it is a blob file named by its hash, 2 it is gone (erased).
constexpr const char* kMigrations[] = {
    R"(
CREATE TABLE cubes(
  id BLOB PRIMARY KEY, version INTEGER NOT NULL, form INTEGER NOT NULL, life INTEGER NOT NULL,
  kind TEXT NOT NULL, owner TEXT NOT NULL, space TEXT NOT NULL, session TEXT NOT NULL,
  ended INTEGER, life_before INTEGER, strength REAL NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX cubes_by_space ON cubes(space, id);
CREATE INDEX cubes_by_session ON cubes(space, session, id);
CREATE TABLE versions(
  id BLOB NOT NULL, version INTEGER NOT NULL, title TEXT NOT NULL, turn INTEGER NOT NULL,
  speaker TEXT NOT NULL, recorded INTEGER NOT NULL, event INTEGER, valid_from INTEGER, valid_to INTEGER,
  model BLOB, trust INTEGER NOT NULL, why TEXT NOT NULL, payload_bytes INTEGER NOT NULL,
  payload_hash BLOB NOT NULL, crc INTEGER NOT NULL, place INTEGER NOT NULL, payload BLOB,
  PRIMARY KEY(id, version));
CREATE INDEX versions_by_blob ON versions(payload_hash) WHERE place = 1;
CREATE TABLE edges(
  child BLOB NOT NULL, child_version INTEGER NOT NULL, parent BLOB NOT NULL, parent_version INTEGER NOT NULL,
  PRIMARY KEY(child, child_version, parent, parent_version)) WITHOUT ROWID;
CREATE INDEX edges_by_parent ON edges(parent);
CREATE TABLE supersedes(newer BLOB NOT NULL, older BLOB NOT NULL, PRIMARY KEY(newer, older)) WITHOUT ROWID;
CREATE INDEX supersedes_by_older ON supersedes(older);
CREATE TABLE grants(
  principal TEXT NOT NULL, space TEXT NOT NULL, rights INTEGER NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY(principal, space)) WITHOUT ROWID;
CREATE TABLE journal(
  sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, principal TEXT NOT NULL, action TEXT NOT NULL,
  cube BLOB NOT NULL, version INTEGER NOT NULL, why TEXT NOT NULL);
CREATE INDEX journal_by_cube ON journal(cube);
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('rewrite_due', 0), ('heals', 0);
PRAGMA application_id = 1448236613;
PRAGMA user_version = 1;
)",
    R"(
ALTER TABLE cubes ADD COLUMN origin TEXT NOT NULL DEFAULT '';
CREATE INDEX cubes_by_origin ON cubes(space, origin) WHERE origin <> '';
ALTER TABLE versions ADD COLUMN labels TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 2;
)",
    // journal.life and journal.ended: what the entry made of the cube's life, so that the past can be asked
    // for. What a cube was born as was not kept before: documents were born archived, all else active.
    // supersedes.verdict: of Verdict, below.
    R"(
ALTER TABLE cubes ADD COLUMN used INTEGER;
ALTER TABLE cubes ADD COLUMN relearn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE supersedes ADD COLUMN verdict INTEGER NOT NULL DEFAULT 0;
CREATE INDEX supersedes_contested ON supersedes(newer) WHERE verdict <> 0;
CREATE INDEX versions_by_end ON versions(valid_to) WHERE valid_to IS NOT NULL;
CREATE TABLE spaces(
  space TEXT PRIMARY KEY, cap_bytes INTEGER NOT NULL, evicted INTEGER NOT NULL, evidence INTEGER NOT NULL,
  half_life INTEGER NOT NULL, secrets INTEGER NOT NULL, personal INTEGER NOT NULL,
  crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE lends(
  user TEXT NOT NULL, agent TEXT NOT NULL, rights INTEGER NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY(user, agent)) WITHOUT ROWID;
CREATE TABLE rebuilds(lost BLOB NOT NULL, source BLOB NOT NULL, PRIMARY KEY(lost, source)) WITHOUT ROWID;
CREATE INDEX rebuilds_by_source ON rebuilds(source);
ALTER TABLE journal ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN space TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN detail TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN life INTEGER;
ALTER TABLE journal ADD COLUMN ended INTEGER;
ALTER TABLE journal ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
UPDATE journal SET space = coalesce((SELECT space FROM cubes WHERE id = cube), ''),
  life = CASE action WHEN 'put' THEN coalesce((SELECT 2 FROM cubes WHERE id = cube AND kind = 'document'), 1)
    WHEN 'draft' THEN 0 WHEN 'active' THEN 1 WHEN 'restore' THEN 1 WHEN 'archived' THEN 2
    WHEN 'expired' THEN 3 WHEN 'supersede' THEN 3 WHEN 'erase' THEN 4 END;
UPDATE journal SET ended = time WHERE life = 3;
DELETE FROM meta WHERE key = 'rewrite_due';
INSERT INTO meta VALUES('scrubbed', 0);
PRAGMA user_version = 3;
)",
    R"(
CREATE INDEX journal_backups ON journal(sequence) WHERE action = 'backup';
PRAGMA user_version = 4;
)",
};
static_assert(kApplication == 1448236613);
constexpr int64_t kSchema = std::size(kMigrations);
constexpr int64_t kChained = 2;  // the step after which each entry of the journal carries a hash

Status own(sql::Database& database) {
  // temp_store: nothing may be written outside the folder. cell_size_check: a damaged page is an error and
  // not a guess. cache_size: 2 MiB, booked by the store. max_page_count: 128 GiB; beyond, the rest of a long
  // row could look like a page of rows to scrub_page().
  for (const char* pragma :
       {"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = TRUNCATE", "PRAGMA synchronous = FULL",
        "PRAGMA secure_delete = ON", "PRAGMA temp_store = MEMORY", "PRAGMA cache_size = -2048",
        "PRAGMA cell_size_check = ON", "PRAGMA mmap_size = 0", "PRAGMA max_page_count = 33554431"}) {
    TRY(database.run(pragma));
  }
  return {};
}

Status migrate(sql::Database& database, int64_t from) {
  for (int64_t step = from; step < kSchema; ++step) {
    sql::Transaction change = TRY(sql::Transaction::begin(database));
    TRY(database.script(kMigrations[step]));
    if (step == kChained) TRY(chain_journal(database));
    TRY(change.commit());
  }
  return {};
}

}  // namespace

Status prepare_store(sql::Database& database) {
  TRY(own(database));
  const int64_t schema = TRY(database.number("PRAGMA user_version")).value_or(0);
  const int64_t application = TRY(database.number("PRAGMA application_id")).value_or(0);
  const int64_t tables = TRY(database.number("SELECT count(*) FROM sqlite_master")).value_or(0);
  if (application == kApplication && schema > kSchema) {
    return Status(Code::unsupported, "the store was written by a newer Varve (schema " +
                                         std::to_string(schema) + "; this one knows " +
                                         std::to_string(kSchema) + "): update Varve");
  }
  if ((application != kApplication && tables != 0) || (schema <= 0 && tables != 0)) {
    return Status(Code::corrupt, "cubes.db is a database, but not a store of Varve: move it away");
  }
  return migrate(database, schema).with("bringing the store to schema " + std::to_string(kSchema));
}

}  // namespace varve

#include "memory/cube/store/sqlite.h"

#include <sqlite3.h>

#include "core/base/check.h"
#include "memory/cube/scrub/vfs.h"

namespace varve::sql {
namespace {

// What a caller can do about it. Extended codes carry the primary one in their low byte.
Code meaning(int code) {
  switch (code & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PROTOCOL:
    case SQLITE_PERM: return Code::io;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Code::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Code::conflict;
    case SQLITE_NOMEM: return Code::over_budget;
    case SQLITE_TOOBIG: return Code::invalid;
    default: return Code::internal;
  }
}

}  // namespace

Statement::~Statement() {
  if (raw_ == nullptr) return;
  sqlite3_reset(raw_);
  sqlite3_clear_bindings(raw_);
  if (!owner_->idle_.emplace(sqlite3_sql(raw_), raw_).second) sqlite3_finalize(raw_);
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(raw_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return owner_->failure(code);
}

bool Statement::null(int column) const {
  return sqlite3_column_type(raw_, column) == SQLITE_NULL;
}
int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(raw_, column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(raw_, column);
}
std::optional<int64_t> Statement::maybe(int column) const {
  return null(column) ? std::nullopt : std::optional(integer(column));
}
std::string_view Statement::view(int column) const {
  const void* bytes = sqlite3_column_blob(raw_, column);  // first: it may convert, and so change the length
  const int size = sqlite3_column_bytes(raw_, column);
  return bytes == nullptr ? std::string_view()
                          : std::string_view(static_cast<const char*>(bytes), size_t(size));
}

// Values outlive the statement's use: they are arguments of query() or run(), or copied below.
Status Statement::bind(int at, std::nullptr_t) {
  return owner_->failure(sqlite3_bind_null(raw_, at));
}
Status Statement::bind(int at, int64_t value) {
  return owner_->failure(sqlite3_bind_int64(raw_, at, value));
}
Status Statement::bind(int at, double value) {
  return owner_->failure(sqlite3_bind_double(raw_, at, value));
}
Status Statement::bind(int at, std::string_view text) {
  const char* bytes = text.empty() ? "" : text.data();
  return owner_->failure(sqlite3_bind_text64(raw_, at, bytes, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}
Status Statement::bind(int at, std::span<const uint8_t> blob) {
  if (blob.empty()) return owner_->failure(sqlite3_bind_zeroblob(raw_, at, 0));
  return owner_->failure(sqlite3_bind_blob64(raw_, at, blob.data(), blob.size(), SQLITE_TRANSIENT));
}
Status Statement::bind(int at, const std::optional<int64_t>& value) {
  return value ? bind(at, *value) : bind(at, nullptr);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  // "./": Debian's build takes a name that begins with "file:" for a URI.
  const std::string plain = path.starts_with('/') ? path : "./" + path;
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(plain.c_str(), &raw, flags, scrub_vfs());
  std::unique_ptr<Database> database(new Database(raw));
  if (code != SQLITE_OK) return database->failure(code).with("opening " + path);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

Database::~Database() {
  for (const auto& [sql, statement] : idle_) sqlite3_finalize(statement);
  sqlite3_close_v2(raw_);
}

Result<Statement> Database::prepare(std::string_view sql) {
  if (auto found = idle_.find(sql); found != idle_.end()) {
    sqlite3_stmt* ready = found->second;
    idle_.erase(found);
    return Statement(this, ready);
  }
  sqlite3_stmt* made = nullptr;
  const int code =
      sqlite3_prepare_v3(raw_, sql.data(), int(sql.size()), SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return Statement(this, made);
}

Status Database::script(const char* sql) {
  return failure(sqlite3_exec(raw_, sql, nullptr, nullptr, nullptr));
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(raw_) == 0;
}

Status Database::failure(int code) const {
  if (code == SQLITE_OK) return {};
  return Status(meaning(code),
                "SQLite: " + std::string(sqlite3_errmsg(raw_)) + " (" + std::to_string(code) + ")");
}

Result<Transaction> Transaction::begin(Database& database) {
  CHECK(!database.in_transaction(), "transactions do not nest");
  TRY(database.run("BEGIN IMMEDIATE"));
  return Transaction(&database);
}

Transaction::~Transaction() {
  if (database_ == nullptr || !database_->in_transaction()) return;
  database_->run("ROLLBACK")
      .ignore("a rollback that fails leaves a hot journal, which the next opening plays back");
}

Status Transaction::commit() {
  TRY(database_->run("COMMIT"));
  database_ = nullptr;
  return {};
}

Result<Copy> Copy::begin(Database& from, const std::string& path) {
  auto to = TRY(Database::open(path));
  sqlite3_backup* raw = sqlite3_backup_init(to->raw_, "main", from.raw_, "main");
  if (raw == nullptr) return to->failure(sqlite3_errcode(to->raw_)).with("beginning a copy");
  return Copy(std::move(to), raw);
}

Copy::~Copy() {
  if (raw_ != nullptr) sqlite3_backup_finish(raw_);
}

int Copy::remaining() const {
  return sqlite3_backup_remaining(raw_);
}

Result<bool> Copy::step(int pages) {
  const int code = sqlite3_backup_step(raw_, pages);
  if (code == SQLITE_OK) return true;
  if (code == SQLITE_DONE) return false;
  return to_->failure(code);
}

}  // namespace varve::sql

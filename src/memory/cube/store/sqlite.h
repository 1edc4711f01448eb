// SQLite behind three small types. The decisions on journal and durability are in
// docs/decisions/0003-sqlite-journal.md. SQL is always a literal; values are always bound.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"

struct sqlite3;
struct sqlite3_backup;
struct sqlite3_stmt;

namespace varve::sql {

class Database;

// One use of a prepared statement: bound, stepped, given back to its Database when it dies.
class Statement {
 public:
  Statement(Statement&& other) noexcept : owner_(other.owner_), raw_(other.raw_) { other.raw_ = nullptr; }
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Result<bool> step();  // true: a row is there
  bool null(int column) const;
  int64_t integer(int column) const;
  double real(int column) const;
  std::string_view view(int column) const;  // text or blob, until the next step
  std::string text(int column) const { return std::string(view(column)); }
  std::optional<int64_t> maybe(int column) const;

 private:
  friend class Database;
  Statement(Database* owner, sqlite3_stmt* raw) : owner_(owner), raw_(raw) {}
  Status bind(int at, std::nullptr_t);
  Status bind(int at, int64_t value);
  Status bind(int at, int value) { return bind(at, int64_t(value)); }
  Status bind(int at, uint32_t value) { return bind(at, int64_t(value)); }
  Status bind(int at, bool value) { return bind(at, int64_t(value)); }
  Status bind(int at, double value);
  Status bind(int at, std::string_view text);
  Status bind(int at, std::span<const uint8_t> blob);
  Status bind(int at, const std::optional<int64_t>& value);
  Status bind(int at, const char*) = delete;  // would be taken for a bool

  Database* owner_;
  sqlite3_stmt* raw_;
};

class Database {  // one connection; externally synchronised
 public:
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  Database(const Database&) = delete;
  ~Database();

  template <class... Values>
  Result<Statement> query(std::string_view sql, const Values&... values) {
    Statement statement = TRY(prepare(sql));
    int at = 0;
    Status bound;
    ((bound.ok() ? void(bound = statement.bind(++at, values)) : void()), ...);
    if (!bound.ok()) return bound;
    return statement;
  }
  template <class... Values>
  Status run(std::string_view sql, const Values&... values) {
    Statement statement = TRY(query(sql, values...));
    while (TRY(statement.step())) {
    }
    return {};
  }
  template <class... Values>
  Result<std::optional<int64_t>> number(std::string_view sql, const Values&... values) {
    Statement statement = TRY(query(sql, values...));
    if (!TRY(statement.step())) return std::optional<int64_t>();
    return statement.maybe(0);
  }
  Status script(const char* sql);  // several statements, nothing bound
  bool in_transaction() const;

 private:
  friend class Statement;
  friend class Copy;
  explicit Database(sqlite3* raw) : raw_(raw) {}
  Result<Statement> prepare(std::string_view sql);
  Status failure(int code) const;

  sqlite3* raw_;
  std::map<std::string, sqlite3_stmt*, std::less<>> idle_;  // prepared, not in use
};

class Transaction {  // rolled back unless committed
 public:
  static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(other.database_) { other.database_ = nullptr; }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;
};

// A copy of a database, page by page, while it is written through the same connection in between.
class Copy {
 public:
  static Result<Copy> begin(Database& from, const std::string& path);
  Copy(Copy&& other) noexcept : to_(std::move(other.to_)), raw_(other.raw_) { other.raw_ = nullptr; }
  Copy& operator=(Copy&&) = delete;
  ~Copy();
  Result<bool> step(int pages);  // true: more is left. -1: all
  int remaining() const;         // pages, as of the last step

 private:
  Copy(std::unique_ptr<Database> to, sqlite3_backup* raw) : to_(std::move(to)), raw_(raw) {}
  std::unique_ptr<Database> to_;
  sqlite3_backup* raw_;
};

}  // namespace varve::sql

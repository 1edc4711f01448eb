// Env: the file system behind a small interface, so that tests can make any call of it fail.
//
// Paths are plain; nothing here interprets names from users. An error is Code::io, not_found when a file is
// absent, exists when a create lost the race; it carries the path and the system's reason, and leaves no
// descriptor open. Only regular files are opened. An Env and a File are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve {

class File {  // closed when it dies; closing after sync() loses nothing
 public:
  virtual ~File() = default;
  virtual Result<int64_t> size() const = 0;
  // Fills `out` wholly or fails: a short file is Code::corrupt.
  virtual Status read(int64_t offset, std::span<std::byte> out) const = 0;
  // As far as the file goes: how many bytes of `out` are filled now, fewer only at its end.
  virtual Result<int64_t> read_up_to(int64_t offset, std::span<std::byte> out) const;
  virtual Status write(int64_t offset, std::span<const std::byte> bytes) = 0;  // wholly or fails
  virtual Status truncate(int64_t size) = 0;
  virtual Status sync() = 0;  // durable afterwards
};

// A file's bytes, read-only, as long as the object lives. A file that somebody shortens meanwhile kills the
// process (SIGBUS): map only files that are replaced, never rewritten.
class Mapping {
 public:
  virtual ~Mapping() = default;
  virtual std::span<const std::byte> bytes() const = 0;
};

// write: must exist; create: must not exist, mode 0600. Both may read, and follow no symbolic link.
// direct: reads past the system's page cache; offsets, sizes and addresses are multiples of kDirectBytes, and
// read_up_to() may ask beyond the end. unsupported: the file system has no such reads.
enum class Open : uint8_t { read, write, create, direct };
inline constexpr int64_t kDirectBytes = 4096;

class Env {
 public:
  virtual ~Env() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, Open how) = 0;
  virtual Result<std::unique_ptr<Mapping>> map(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;  // names, sorted
  virtual Status make_folder(const std::string& path) = 0;                       // and its parents; mode 0700
  virtual Status rename(const std::string& from, const std::string& to) = 0;     // replaces; syncs the folder
  virtual Status remove(const std::string& path) = 0;  // a file or an empty folder; syncs the folder above
  // An exclusive lock on `path` (created when absent) held until the result dies; Code::conflict when another
  // process holds it.
  virtual Result<std::unique_ptr<File>> lock(const std::string& path) = 0;
};

Env& posix_env();

// A file in the making, in pieces. commit() puts it in the place of `path`, durably; without commit(), or
// when anything fails, what stood there before stays. Two writers of one path do not disturb each other.
class Replacement {
 public:
  static Result<Replacement> begin(Env& env, std::string path);
  Replacement(Replacement&& other) noexcept = default;
  Replacement& operator=(Replacement&& other) = delete;
  ~Replacement();

  Status append(std::span<const std::byte> bytes);
  Status commit();  // once; nothing may follow

 private:
  Replacement(Env* env, std::string path, std::string temporary, std::unique_ptr<File> file);
  Env* env_;
  std::string path_, temporary_;
  std::unique_ptr<File> file_;  // null after commit() and when moved from
  int64_t size_ = 0;
};

// Whole files. read_file() is invalid when the file is longer than max_bytes; write_file() is a Replacement.
Result<std::vector<std::byte>> read_file(Env& env, const std::string& path, int64_t max_bytes);
Status write_file(Env& env, const std::string& path, std::span<const std::byte> bytes);

// Bytes that are read like a file, and cannot be written.
std::unique_ptr<File> file_of(std::string bytes);

// Removes what Replacements of a process that died left in a folder. Only while nobody else writes there.
Status remove_leftovers(Env& env, const std::string& folder);

}  // namespace varve

// Env: the file system behind a small interface, so that tests can make any call of it fail.
//
// Paths are plain; nothing here interprets names from users. Every error is Code::io (not_found when a file
// is absent), carries the path and the system's reason, and leaves no descriptor open. An Env is thread-safe.
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
  virtual Status write(int64_t offset, std::span<const std::byte> bytes) = 0;  // wholly or fails
  virtual Status truncate(int64_t size) = 0;
  virtual Status sync() = 0;  // durable afterwards
};

class Mapping {  // a file's bytes, read-only, as long as the object lives
 public:
  virtual ~Mapping() = default;
  virtual std::span<const std::byte> bytes() const = 0;
};

enum class Open : uint8_t { read, write, create };  // write: must exist; create: must not exist, mode 0600

class Env {
 public:
  virtual ~Env() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, Open how) = 0;
  virtual Result<std::unique_ptr<Mapping>> map(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;  // names, sorted
  virtual Status make_folder(const std::string& path) = 0;                       // and its parents; mode 0700
  virtual Status rename(const std::string& from, const std::string& to) = 0;     // replaces; syncs the folder
  virtual Status remove(const std::string& path) = 0;                            // syncs the folder
  // An exclusive lock on `path` (created when absent) held until the result dies; Code::conflict when another
  // process holds it.
  virtual Result<std::unique_ptr<File>> lock(const std::string& path) = 0;
};

Env& posix_env();

// Whole files. write_file() goes through a temporary file, sync and rename: the old content survives any
// failure.
Result<std::vector<std::byte>> read_file(Env& env, const std::string& path, int64_t max_bytes);
Status write_file(Env& env, const std::string& path, std::span<const std::byte> bytes);

}  // namespace varve

// Blobs: payloads too large for a row, as files named by their SHA-256. A blob is durable before the
// transaction that names it; one that nobody names is an orphan, removed when the store opens.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/hash.h"
#include "core/io/env.h"

namespace varve {

class Blobs {
 public:
  Blobs(Env& env, std::string folder) : env_(env), folder_(std::move(folder)) {}

  Status write(const Hash256& name, std::string_view bytes);
  Result<std::unique_ptr<File>> open(const Hash256& name, int64_t bytes) const;  // its content is not checked
  Result<std::string> read(const Hash256& name, int64_t bytes) const;  // corrupt unless exactly this
  Status remove(const Hash256& name);                                  // an absent one is no error
  // Calls `visit` with every file: its path, and its hash unless its name is none of ours.
  using Visit = std::function<Status(const std::string& path, const std::optional<Hash256>& name)>;
  Status each(const Visit& visit) const;
  Env& env() const { return env_; }

 private:
  std::string path(const Hash256& name) const;

  Env& env_;
  std::string folder_;
};

}  // namespace varve

// Keys: who may use the server. Only SHA-256 hashes of keys are kept, in keys.json of the home (mode 0600); a
// key is shown once, when it is made. Each names a principal, whose space is its own, and a role; it may be
// an agent's that acts for the principal, or hold for one session only.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/io/env.h"
#include "memory/cube/cube.h"
#include "serve/http/http.h"

namespace varve {

struct Key {
  Hash256 hash;
  Principal who;
  Access role = Access::write;
};

Result<Access> parse_role(std::string_view text);  // "read", "write", "admin"
std::string_view to_string(Access role);

class Keys {
 public:
  static Result<std::unique_ptr<Keys>> open(Env& env, const std::string& home);  // corrupt names the file
  bool empty() const { return keys_.empty(); }
  const std::vector<Key>& all() const { return keys_; }
  // Makes, stores and returns a new key: "vk-" and 43 characters. The only time that it can be read.
  Result<std::string> make(const Principal& who, Access role);
  // Every key of that principal, or only those of its agent or session, where named. not_found: there is
  // none.
  Status revoke(const Principal& who);
  // Compares with every key in constant time.
  std::optional<Key> find(std::string_view secret) const;

 private:
  Keys(Env& env, std::string path) : env_(env), path_(std::move(path)) {}
  Status save() const;
  Env& env_;
  std::string path_;
  std::vector<Key> keys_;
};

}  // namespace varve

#include "serve/mcp/sessions.h"

#include <algorithm>

#include "core/base/hash.h"

namespace varve {

std::string McpSessions::begin(const Principal& who, McpState state) {
  Hash256 secret;
  secure_random(std::as_writable_bytes(std::span(secret.bytes)));
  auto session = std::make_shared<Session>();
  session->who = who.whole();
  session->state = std::move(state);
  std::lock_guard lock(mutex_);
  session->used = ++uses_;
  if (sessions_.size() >= most_) {
    sessions_.erase(std::min_element(sessions_.begin(), sessions_.end(), [](const auto& a, const auto& b) {
      return a.second->used < b.second->used;
    }));
  }
  const std::string id = secret.hex();
  sessions_.emplace(id, std::move(session));
  return id;
}

bool McpSessions::with(const std::string& id, const Principal& who,
                       const std::function<void(McpState&)>& work) {
  std::shared_ptr<Session> session;
  {
    std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || found->second->who != who.whole()) return false;
    session = found->second;
    session->used = ++uses_;
  }
  std::lock_guard one(session->one);
  work(session->state);
  return true;
}

bool McpSessions::end(const std::string& id, const Principal& who) {
  std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second->who != who.whole()) return false;
  sessions_.erase(found);
  return true;
}

}  // namespace varve

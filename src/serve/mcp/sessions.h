// The sessions of MCP over HTTP, by their unguessable id. Bounded: the one longest unused gives way, and its
// client begins anew.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "serve/mcp/peer.h"

namespace varve {

class McpSessions {
 public:
  explicit McpSessions(size_t most = 1024) : most_(most) {}

  std::string begin(const Principal& who, McpState state);
  // Runs `work` on the session's state; false when `who` has no such session.
  bool with(const std::string& id, const Principal& who, const std::function<void(McpState&)>& work);
  bool end(const std::string& id, const Principal& who);

 private:
  struct Session {
    std::string who;
    int64_t used = 0;
    std::mutex one;  // message at a time
    McpState state;
  };
  const size_t most_;
  std::mutex mutex_;
  int64_t uses_ = 0;
  std::map<std::string, std::shared_ptr<Session>> sessions_;
};

}  // namespace varve

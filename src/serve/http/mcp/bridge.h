// McpBridge: for programs that start a process to speak MCP with, while a server has the home: their messages
// go to the server's /mcp, its answers come back, line by line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace varve {

class McpBridge {
 public:
  // `url`: "http://127.0.0.1:8080". invalid when it is none. Nothing is asked yet.
  static Result<std::unique_ptr<McpBridge>> open(const std::string& url, const std::string& key);
  virtual ~McpBridge() = default;  // ends the session
  // What answers a message; each is one line. A server that is not there is an error of the request. One that
  // began anew since is told the same `initialize` again.
  virtual std::vector<std::string> answer(const std::string& message) = 0;
};

}  // namespace varve

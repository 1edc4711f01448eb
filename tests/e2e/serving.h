// `varve serve` as a process of its own, and a client that may misbehave: raw bytes over a socket.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/format/json.h"
#include "tests/e2e/child.h"

namespace varve {

struct Answer {
  int status = 0;  // 0: the connection ended without one
  std::string head, body;
};

class Wire {
 public:
  explicit Wire(int port);
  ~Wire();
  Wire(Wire&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  bool send(std::string_view bytes);         // false: the other side wants no more
  std::string hear(int timeout_ms = 60000);  // all, until the other side ends it
  Answer answer(int timeout_ms = 60000);

 private:
  int socket_ = -1;
};

class Serving {
 public:
  Serving(const std::string& home, std::vector<std::string> options);

  // A head without its end: more lines may follow. `who`: a key, "" sends none.
  std::string head(const std::string& method, const std::string& path, const std::string& who) const;
  Answer raw(const std::string& bytes) const;
  std::string whole(const std::string& bytes) const;  // every answer to them
  Answer ask(const std::string& method, const std::string& path, const std::string& body = "") const;
  Json json(const std::string& method, const std::string& path, const Json& body = {}) const;
  Child::End end(int number);  // by this signal

  std::string key;
  int port = 0;
  std::unique_ptr<Child> child;

 private:
  std::string heard_;  // of its output, until it listened
};

}  // namespace varve

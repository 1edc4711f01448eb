#include "tests/e2e/serving.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"

namespace varve {

Wire::Wire(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(uint16_t(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0, "nobody listens");
}
Wire::~Wire() {
  if (socket_ >= 0) close(socket_);
}

bool Wire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(size_t(sent));
  }
  return true;
}

std::string Wire::hear(int timeout_ms) {
  std::string all;
  char bytes[65536];
  for (;;) {
    pollfd one{socket_, POLLIN, 0};
    if (poll(&one, 1, timeout_ms) <= 0) break;
    const ssize_t got = recv(socket_, bytes, sizeof(bytes), 0);
    if (got <= 0) break;
    all.append(bytes, size_t(got));
  }
  return all;
}

Answer Wire::answer(int timeout_ms) {
  const std::string all = hear(timeout_ms);
  Answer answer;
  const size_t end = all.find("\r\n\r\n");
  if (all.rfind("HTTP/1.1 ", 0) != 0 || end == std::string::npos) return answer;
  answer.status = std::atoi(all.c_str() + 9);
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  return answer;
}

Serving::Serving(const std::string& home, std::vector<std::string> options) {
  options.insert(options.begin(), {"serve", "--port", "0", "--home", home});
  child = std::make_unique<Child>(VARVE_PROGRAM, options);
  std::string line;
  while (port == 0 && child->hear(line)) {
    heard_ += line + "\n";
    if (const size_t at = line.find("vk-"); at != std::string::npos) key = line.substr(at);
    if (line.find("http://") != std::string::npos) port = std::stoi(line.substr(line.rfind(':') + 1));
  }
  if (port == 0) ADD_FAILURE() << "no server: " << child->finish().err;
}

std::string Serving::head(const std::string& method, const std::string& path, const std::string& who) const {
  std::string text = method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                     "\r\nConnection: close\r\n";
  if (!who.empty()) text += "Authorization: Bearer " + who + "\r\n";
  return text;
}

std::string Serving::whole(const std::string& bytes) const {
  Wire wire(port);
  wire.send(bytes);
  return wire.hear();
}

Answer Serving::raw(const std::string& bytes) const {
  Wire wire(port);
  wire.send(bytes);
  return wire.answer();
}

Answer Serving::ask(const std::string& method, const std::string& path, const std::string& body) const {
  std::string text = head(method, path, key);
  if (!body.empty())
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  return raw(text + "\r\n" + body);
}

Json Serving::json(const std::string& method, const std::string& path, const Json& body) const {
  const Answer answer = ask(method, path, body.is_null() ? "" : body.dump());
  auto parsed = parse_json(answer.body);
  EXPECT_TRUE(parsed.ok() && answer.status < 300)
      << method << " " << path << " " << answer.status << " " << answer.body;
  return parsed.ok() ? *parsed : Json();
}

Child::End Serving::end(int number) {
  child->signal(number);
  Child::End end = child->finish();
  end.out = heard_ + end.out;
  return end;
}

}  // namespace varve

// Connection: one client's socket, as the HTTP library reads and writes it. Bounded as a whole: a head of
// 64 KiB, and time that only arriving bytes can buy, so that nobody holds a worker by dripping.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>

namespace varve {

class Connection : public httplib::Stream {
 public:
  // It stops reading when `listening` becomes INVALID_SOCKET.
  Connection(socket_t socket, const std::atomic<socket_t>& listening)
      : socket_(socket), listening_(listening) {}

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* out, size_t size) override;
  ssize_t write(const char* bytes, size_t size) override;
  void get_remote_ip_and_port(std::string&, int&) const override {}  // nobody asks
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_; }

  uint64_t body_bytes() const { return body_bytes_; }  // that were read
  bool has_more() const { return at_ < end_; }         // bytes of the next request are here already
  // Ready for another request, after one with a body of so many bytes; false when it was not read to its end.
  bool begin_next(uint64_t body_bytes);
  // A client that is still sending what nobody read would lose the answer to a reset. For a second it may.
  void linger();

 private:
  using Clock = std::chrono::steady_clock;
  bool wait(short events, Clock::time_point until) const;
  bool refill();
  void follow_head(char c);

  const socket_t socket_;
  const std::atomic<socket_t>& listening_;
  Clock::time_point begun_ = Clock::now();
  int64_t received_ = 0;
  char ahead_[4096];
  size_t at_ = 0, end_ = 0;  // of ahead_
  bool in_head_ = true;
  int64_t head_bytes_ = 0;
  uint64_t body_bytes_ = 0;
  std::string line_;  // the last three bytes of the head
};

}  // namespace varve

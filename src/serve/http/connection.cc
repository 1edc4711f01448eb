#include "serve/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace varve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t kHeadBytes = 64 << 10;
constexpr int64_t kSlice = 100;  // milliseconds until a server that stops is noticed
constexpr seconds kPatience(10), kWritePatience(30), kLinger(1);
constexpr int64_t kBytesPerSecond = 16 << 10;  // a body that comes slower runs out of time

}  // namespace

// For `events`, or for the end of the connection.
bool Connection::wait(short events, Clock::time_point until) const {
  pollfd one{socket_, events, 0};
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    const int ready = poll(&one, 1, int(std::clamp<int64_t>(left, 0, kSlice)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (left <= 0 || (events == POLLIN && listening_ == INVALID_SOCKET)) return false;
  }
}

bool Connection::is_readable() const {
  const auto until = begun_ + kPatience + milliseconds(received_ * 1000 / kBytesPerSecond);
  return at_ < end_ || wait(POLLIN, until);
}
bool Connection::is_writable() const {
  return wait(POLLOUT, Clock::now() + kWritePatience);
}

bool Connection::refill() {
  if (!is_readable()) return false;
  const ssize_t got = recv(socket_, ahead_, sizeof(ahead_), 0);
  if (got <= 0) return false;
  at_ = 0, end_ = size_t(got);
  received_ += got;
  return true;
}

// The head ends with an empty line.
void Connection::follow_head(char c) {
  ++head_bytes_;
  line_ += c;
  if (line_.size() > 3) line_.erase(0, 1);
  in_head_ = line_ != "\n\r\n";
}

ssize_t Connection::read(char* out, size_t size) {
  if (at_ == end_ && !refill()) return -1;
  const size_t count = std::min(size, end_ - at_);
  for (size_t i = 0; i < count; ++i) {
    if (in_head_) {
      follow_head(ahead_[at_ + i]);
    } else {
      body_bytes_ += count - i;
      break;
    }
  }
  if (in_head_ && head_bytes_ > kHeadBytes) return -1;
  std::copy_n(ahead_ + at_, count, out);
  at_ += count;
  return ssize_t(count);
}

bool Connection::begin_next(uint64_t body_bytes) {
  if (in_head_ || body_bytes_ != body_bytes) return false;
  begun_ = Clock::now();
  received_ = int64_t(end_ - at_);
  in_head_ = true;
  head_bytes_ = 0;
  body_bytes_ = 0;
  line_.clear();
  return true;
}

ssize_t Connection::write(const char* bytes, size_t size) {
  if (!is_writable()) return -1;
  return send(socket_, bytes, size, MSG_NOSIGNAL);
}

void Connection::linger() {
  shutdown(socket_, SHUT_WR);
  char unread[4096];
  const auto until = Clock::now() + kLinger;
  while (Clock::now() < until && wait(POLLIN, until) && recv(socket_, unread, sizeof(unread), 0) > 0) {
  }
}

}  // namespace varve

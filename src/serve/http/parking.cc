#include "serve/http/parking.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace varve {
namespace {

constexpr size_t kMostParked = 512;
constexpr std::chrono::seconds kIdle(20);  // longer than what clients are told

bool gone(int socket) {
  char byte;
  return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace

Parking::Parking(Resume resume) : resume_(std::move(resume)) {
  CHECK(pipe2(wake_, O_CLOEXEC | O_NONBLOCK) == 0, "no pipe for the parked connections");
  thread_ = std::thread([this] { watch(); });
}

void Parking::wake() {
  const char byte = 0;
  [[maybe_unused]] const ssize_t written = write(wake_[1], &byte, 1);  // a full pipe wakes as well
}

bool Parking::park(int socket, int served) {
  std::lock_guard lock(mutex_);
  if (stopped_) return false;
  if (parked_.size() == kMostParked) {
    close(parked_.front().socket);
    parked_.erase(parked_.begin());
  }
  parked_.push_back({socket, served, std::chrono::steady_clock::now()});
  wake();
  return true;
}

void Parking::stop() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    wake();
  }
  thread_.join();
  for (const ParkedSocket& one : parked_) close(one.socket);
  parked_.clear();
  close(wake_[0]), close(wake_[1]);
}

// Sockets leave `parked_` on this thread alone, but for the oldest of a full park; so each is looked up again
// after the wait.
void Parking::watch() {
  for (;;) {
    std::vector<pollfd> waited{{wake_[0], POLLIN, 0}};
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return;
      for (const ParkedSocket& one : parked_) waited.push_back({one.socket, POLLIN, 0});
    }
    poll(waited.data(), nfds_t(waited.size()), 1000);
    char drained[64];
    while (read(wake_[0], drained, sizeof(drained)) > 0) {
    }
    std::vector<ParkedSocket> ready;
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return;
      const auto now = std::chrono::steady_clock::now();
      std::erase_if(parked_, [&](const ParkedSocket& one) {
        const bool spoke = std::any_of(waited.begin() + 1, waited.end(), [&](const pollfd& fd) {
          return fd.fd == one.socket && fd.revents != 0;
        });
        if (!spoke && now - one.since < kIdle) return false;
        if (!spoke || gone(one.socket)) {
          close(one.socket);
        } else {
          ready.push_back(one);
        }
        return true;
      });
    }
    for (const ParkedSocket& one : ready) resume_(one.socket, one.served);
  }
}

}  // namespace varve

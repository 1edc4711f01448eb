// Parking: connections whose client may ask again. They hold no worker: one thread watches all of them, and
// whoever speaks is handed on. Bounded in number and in time.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace varve {

struct ParkedSocket {
  int socket = -1;
  int served = 0;  // requests on it so far
  std::chrono::steady_clock::time_point since;
};

class Parking {
 public:
  using Resume = std::function<void(int socket, int served)>;  // who gets it closes it

  explicit Parking(Resume resume);
  ~Parking() { stop(); }
  Parking(const Parking&) = delete;

  bool park(int socket, int served);  // false: stopped; the caller closes it. Full: the oldest goes
  void stop();                        // closes all; nothing is handed on afterwards

 private:
  void watch();
  void wake();

  const Resume resume_;
  int wake_[2] = {-1, -1};
  std::mutex mutex_;
  bool stopped_ = false;
  std::vector<ParkedSocket> parked_;  // oldest first
  std::thread thread_;
};

}  // namespace varve

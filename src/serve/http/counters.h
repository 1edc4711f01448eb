// Counters: what /metrics shows of the server itself. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

namespace varve {

class Counters {
 public:
  static constexpr std::array<double, 8> kBounds = {0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120};  // seconds
  // `path` is the route's pattern, never what a client wrote: labels are bounded.
  void request(std::string_view method, std::string_view path, int status, double seconds);
  std::string text() const;  // Prometheus exposition format

 private:
  struct Latency {
    std::array<int64_t, kBounds.size()> below{};
    int64_t count = 0;
    double sum = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, int>, int64_t> requests_;
  std::map<std::string, Latency> latency_;
};

}  // namespace varve

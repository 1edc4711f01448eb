#include "serve/http/counters.h"

#include <cstdio>

namespace varve {
namespace {
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}
}  // namespace

void Counters::request(std::string_view method, std::string_view path, int status, double seconds) {
  std::lock_guard lock(mutex_);
  ++requests_[{std::string(method), std::string(path), status}];
  Latency& latency = latency_[std::string(path)];
  for (size_t i = 0; i < kBounds.size(); ++i) latency.below[i] += seconds <= kBounds[i];
  ++latency.count;
  latency.sum += seconds;
}

std::string Counters::text() const {
  std::lock_guard lock(mutex_);
  std::string out = "# TYPE varve_http_requests_total counter\n";
  for (const auto& [key, count] : requests_) {
    const auto& [method, path, status] = key;
    out += "varve_http_requests_total{method=\"" + method + "\",path=\"" + path + "\",status=\"" +
           std::to_string(status) + "\"} " + std::to_string(count) + "\n";
  }
  out += "# TYPE varve_http_request_seconds histogram\n";
  for (const auto& [path, latency] : latency_) {
    const std::string label = "varve_http_request_seconds_bucket{path=\"" + path + "\",le=\"";
    for (size_t i = 0; i < kBounds.size(); ++i) {
      out += label + number(kBounds[i]) + "\"} " + std::to_string(latency.below[i]) + "\n";
    }
    out += label + "+Inf\"} " + std::to_string(latency.count) + "\n";
    out += "varve_http_request_seconds_sum{path=\"" + path + "\"} " + number(latency.sum) + "\n";
    out += "varve_http_request_seconds_count{path=\"" + path + "\"} " + std::to_string(latency.count) + "\n";
  }
  return out;
}

}  // namespace varve

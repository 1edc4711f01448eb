#include "memory/recall/top.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace varve {
namespace {
bool better(const Hit& a, const Hit& b) {
  return a.score != b.score ? a.score > b.score : a.id < b.id;
}
}  // namespace

void Top::offer(const Hit& hit) {
  if (heap_.size() < k_) {
    heap_.push_back(hit);
    std::push_heap(heap_.begin(), heap_.end(), better);
  } else if (k_ > 0 && better(hit, heap_.front())) {
    std::pop_heap(heap_.begin(), heap_.end(), better);
    heap_.back() = hit;
    std::push_heap(heap_.begin(), heap_.end(), better);
  }
}

float Top::floor() const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (k_ == 0) return kInfinity;
  return heap_.size() < k_ ? -kInfinity : heap_.front().score;
}

std::vector<Hit> Top::take() {
  std::sort_heap(heap_.begin(), heap_.end(), better);
  return std::move(heap_);
}

std::string date_words(TimeMs time) {
  using namespace std::chrono;
  static constexpr const char* months[] = {"January",   "February", "March",    "April",
                                           "May",       "June",     "July",     "August",
                                           "September", "October",  "November", "December"};
  const auto day = floor<days>(sys_time<milliseconds>(milliseconds(time)));
  const year_month_day date(day);
  return std::to_string(unsigned(date.day())) + " " + months[unsigned(date.month()) - 1] + " " +
         std::to_string(int(date.year()));
}

}  // namespace varve

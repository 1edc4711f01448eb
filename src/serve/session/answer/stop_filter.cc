#include "serve/session/answer/stop_filter.h"

#include <algorithm>
#include <utility>

namespace varve {
namespace {

// The longest end of `text` that begins `stop` without being all of it.
size_t begun(std::string_view text, std::string_view stop) {
  size_t length = std::min(text.size(), stop.size() - 1);
  while (length > 0 && text.substr(text.size() - length) != stop.substr(0, length)) --length;
  return length;
}

}  // namespace

std::string StopFilter::push(std::string_view text) {
  if (stopped_) return "";
  held_ += text;
  size_t end = std::string::npos, hold = 0;
  for (const std::string& stop : stops_) {
    end = std::min(end, held_.find(stop));
    hold = std::max(hold, begun(held_, stop));
  }
  stopped_ = end != std::string::npos;
  std::string out = held_.substr(0, stopped_ ? end : held_.size() - hold);
  held_.erase(0, stopped_ ? held_.size() : out.size());
  return out;
}

std::string StopFilter::finish() {
  return std::exchange(held_, "");
}

}  // namespace varve

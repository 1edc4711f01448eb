// StopFilter: lets text through until one of the stop strings begins. What may still become a stop string is
// held back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {}  // none of them empty
  std::string push(std::string_view text);                                           // what is certain now
  std::string finish();                                                              // the rest
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace varve

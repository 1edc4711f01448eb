// Top: the k best hits of a stream. Ties go to the older cube, so that a ranking is a function of its input
// alone.
#pragma once

#include <vector>

#include "memory/recall/retriever.h"

namespace varve {

class Top {
 public:
  explicit Top(int32_t k) : k_(k > 0 ? size_t(k) : 0) {}
  void offer(const Hit& hit);
  // What is below needs no offering: the worst score of k hits, or minus infinity while there are fewer.
  float floor() const;
  std::vector<Hit> take();  // best first

 private:
  size_t k_;
  std::vector<Hit> heap_;  // the worst on top
};

std::string date_words(TimeMs time);  // "8 May 2023": what a lexical index reads

}  // namespace varve

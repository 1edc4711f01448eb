#include "learn/data/pairs.h"

#include <algorithm>

#include "core/base/check.h"

namespace varve {

PairedFeed::PairedFeed(const Feed& feed, int32_t pairs_a_step, uint64_t seed)
    : feed_(feed), pairs_a_step_(pairs_a_step), seed_(seed) {
  CHECK(feed.paired(), "a feed of pairs");
  for (size_t i = 0; i < feed.size(); ++i) rows_ = std::max(rows_, int32_t(feed[i].tokens.size()));
}

Status PairedFeed::fill(int64_t step, int32_t part, TextBatch& out) const {
  out.clear();
  const auto place = uint64_t(step * pairs_a_step_ + part / 2);
  append(feed_[size_t(shuffled(seed_, place, uint64_t(count())) * 2 + uint64_t(part % 2))], out);
  return {};
}

}  // namespace varve

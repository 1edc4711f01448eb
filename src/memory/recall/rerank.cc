#include "memory/recall/rerank.h"

namespace varve {

void Places::add(const CubeHeader& header) {
  remove(header.id);
  if (header.session.empty()) return;
  const Place place(header.space, header.session, header.turn);
  where_[header.id] = place;
  at_.emplace(place, header.id);
}

void Places::remove(CubeId id) {
  const auto found = where_.find(id);
  if (found == where_.end()) return;
  auto [begin, end] = at_.equal_range(found->second);
  while (begin != end && begin->second != id) ++begin;
  if (begin != end) at_.erase(begin);
  where_.erase(found);
}

std::vector<CubeId> Places::beside(CubeId id, int32_t distance) const {
  std::vector<CubeId> all;
  const auto found = where_.find(id);
  if (found == where_.end()) return all;
  Place place = found->second;
  const int64_t turn = int64_t(std::get<2>(place)) + distance;
  if (turn < INT32_MIN || turn > INT32_MAX) return all;
  std::get<2>(place) = int32_t(turn);
  for (auto [begin, end] = at_.equal_range(place); begin != end; ++begin) all.push_back(begin->second);
  return all;
}

}  // namespace varve

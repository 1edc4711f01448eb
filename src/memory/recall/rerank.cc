#include "memory/recall/rerank.h"

#include <algorithm>

namespace varve {

void Places::add(const CubeHeader& header) {
  remove(header.id);
  if (header.session.empty()) return;
  const uint32_t slot = ids_.add(header.id);
  if (slot >= where_.size()) where_.resize(slot + 1);
  const auto session = sessions_.try_emplace(Session(header.space, header.session)).first;
  where_[slot] = {session, header.turn};
  auto& turns = session->second;
  const Said said(header.turn, slot);
  turns.insert(std::upper_bound(turns.begin(), turns.end(), said), said);
}

void Places::remove(CubeId id) {
  const uint32_t slot = ids_.remove(id);
  if (slot == KeyTable<CubeId>::kNone) return;
  const Place place = where_[slot];
  auto& turns = place.session->second;
  turns.erase(std::lower_bound(turns.begin(), turns.end(), Said(place.turn, slot)));
  if (turns.empty()) sessions_.erase(place.session);
  if (ids_.size() == 0) where_ = std::vector<Place>();
}

std::vector<CubeId> Places::beside(CubeId id, int32_t distance) const {
  std::vector<CubeId> all;
  const uint32_t slot = ids_.find(id);
  if (slot == KeyTable<CubeId>::kNone) return all;
  const Place& place = where_[slot];
  const int64_t turn = int64_t(place.turn) + distance;
  if (turn < INT32_MIN || turn > INT32_MAX) return all;
  const auto& turns = place.session->second;
  auto said = std::lower_bound(turns.begin(), turns.end(), Said(int32_t(turn), 0));
  for (; said != turns.end() && said->first == turn; ++said) all.push_back(ids_.at(said->second));
  std::sort(all.begin(), all.end());
  return all;
}

int64_t Places::bytes() const {
  int64_t sum = ids_.bytes() + int64_t(where_.capacity() * sizeof(Place));
  for (const auto& [name, turns] : sessions_) sum += 192 + int64_t(turns.capacity() * sizeof(Said));
  return sum;
}

}  // namespace varve

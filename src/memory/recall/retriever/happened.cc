// Time: what happened when the question says, nearest to the middle of that time first. A cube without an
// event's date counts from when it was recorded.
#include <cstdlib>
#include <map>

#include "memory/recall/index/key_table.h"
#include "memory/recall/query/when.h"
#include "memory/recall/retriever.h"
#include "memory/recall/top.h"

namespace varve::retriever {
namespace {

class ByTime : public Retriever {
 public:
  Status add(const CubeHeader& header, std::string_view, std::span<const float>) override {
    remove(header.id);
    const uint32_t slot = ids_.add(header.id);
    if (slot >= where_.size()) where_.resize(slot + 1);
    const auto space = spaces_.try_emplace(header.space).first;
    where_[slot] = {space, space->second.emplace(header.event.value_or(header.recorded), header.id)};
    return {};
  }

  void remove(CubeId id) override {
    const uint32_t slot = ids_.remove(id);
    if (slot == Ids::kNone) return;
    const auto [space, at] = where_[slot];
    space->second.erase(at);
    if (space->second.empty()) spaces_.erase(space);
    if (ids_.size() == 0) where_ = std::vector<Place>();
  }

  Result<std::vector<Hit>> search(const Query& query, int32_t k) const override {
    std::vector<TimeRange> ranges(query.times.begin(), query.times.end());
    if (ranges.empty()) ranges = read_times(query.text, query.reference).ranges;
    Top top(k);
    std::map<CubeId, float> best;
    for (const TimeRange& range : ranges) {
      for (const std::string& name : query.spaces) {
        const auto space = spaces_.find(name);
        if (space != spaces_.end()) walk(space->second, range, k, best);
      }
    }
    for (const auto& [id, score] : best) top.offer({id, score});
    return top.take();
  }

  int64_t bytes() const override {
    return ids_.bytes() + int64_t(where_.capacity() * sizeof(Place) + ids_.size() * 80);
  }

 private:
  using Ids = KeyTable<CubeId>;
  using Timeline = std::multimap<TimeMs, CubeId>;
  using Spaces = std::map<std::string, Timeline, std::less<>>;
  struct Place {
    Spaces::iterator space;
    Timeline::iterator at;
  };

  // Outward from the middle, so that a long time costs no more than k steps each way.
  static void walk(const Timeline& line, const TimeRange& range, int32_t k, std::map<CubeId, float>& best) {
    const TimeMs middle = range.from + (range.to - range.from) / 2;
    const auto offer = [&](const Timeline::value_type& one) {
      const double half = double(range.to - range.from) / 2 + 1;
      const float score = float(1 - 0.5 * std::abs(double(one.first - middle)) / half);
      auto& known = best[one.second];
      known = std::max(known, score);
    };
    const auto start = line.lower_bound(middle);
    auto after = start;
    for (int32_t i = 0; i < k && after != line.end() && after->first < range.to; ++i) offer(*after++);
    auto before = start;
    for (int32_t i = 0; i < k && before != line.begin(); ++i) {
      if ((--before)->first < range.from) break;
      offer(*before);
    }
  }

  Ids ids_;
  Spaces spaces_;
  std::vector<Place> where_;  // by slot of ids_
};

}  // namespace

Made happened(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Retriever>(new ByTime);
}

}  // namespace varve::retriever

// Time: a question that names a time is answered by what happened then, or was told soon after. A cube
// without an event's date counts from when it was recorded.
#include <algorithm>
#include <cmath>

#include "memory/recall/rerank.h"

namespace varve::reranker {
namespace {

struct Options {
  double weight = 0.3;
  double days = 7;  // from the time named, until the weight is down to a half of its half
};

class Time : public Reranker {
 public:
  explicit Time(const Options& options) : options_(options) {}

  Status rerank(const Asked& asked, std::vector<Hit>& hits) const override {
    if (asked.query.times.empty()) return {};
    for (Hit& hit : hits) {
      const uint32_t slot = asked.entries.find(hit.id);
      if (slot == Entries::kNone) continue;
      const Entries::Entry& entry = asked.entries[slot];
      double best = 0;
      for (const TimeRange& range : asked.query.times)
        best = std::max(best, nearness(range, entry.event.value_or(entry.recorded)));
      hit.score += float(options_.weight * best);
    }
    sort_hits(hits);
    return {};
  }

 private:
  // A long range tells less: a year half of what a month does.
  double nearness(const TimeRange& range, TimeMs time) const {
    constexpr double kDay = 86400000;
    const double whole = double(range.to) - double(range.from) > 100 * kDay ? 0.5 : 1;
    if (range.contains(time)) return whole;
    const double away =
        time < range.from ? double(range.from) - double(time) : double(time) - double(range.to);
    return 0.5 * whole * std::exp2(-away / kDay / options_.days);
  }

  Options options_;
};

}  // namespace

Made time(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("weight", options.weight, 0.0, 10.0)
          .read("days", options.days, 0.1, 3650.0)
          .done());
  return std::unique_ptr<Reranker>(new Time(options));
}

}  // namespace varve::reranker

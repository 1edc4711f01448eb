#include "learn/compress/allot/allocate.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/base/check.h"

namespace varve {
namespace {

double gain(const Option& from, const Option& to) {  // per byte
  return (from.loss - to.loss) / double(to.bytes - from.bytes);
}

}  // namespace

std::vector<size_t> efficient(std::span<const Option> options) {
  std::vector<size_t> order(options.size()), found;
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return options[a].bytes != options[b].bytes ? options[a].bytes < options[b].bytes
                                                : options[a].loss < options[b].loss;
  });
  for (const size_t next : order) {
    if (!found.empty() && !(options[next].loss < options[found.back()].loss)) continue;
    while (found.size() > 1 && gain(options[found[found.size() - 2]], options[found.back()]) <=
                                   gain(options[found.back()], options[next]))
      found.pop_back();
    found.push_back(next);
  }
  return found;
}

Result<std::vector<size_t>> allocate(std::span<const std::vector<Option>> items, int64_t limit) {
  struct Item {
    std::vector<size_t> steps;
    size_t at = 0;
  };
  std::vector<Item> all;
  int64_t bytes = 0;
  for (const auto& options : items) {
    CHECK(!options.empty(), "an option of each");
    all.push_back({efficient(options)});
    bytes += options[all.back().steps[0]].bytes;
  }
  if (bytes > limit) {
    return Status(Code::invalid, "the least that it can be is " + std::to_string(bytes) +
                                     " bytes, more than " + std::to_string(limit));
  }
  while (true) {
    size_t best = all.size();
    double most = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].at + 1 >= all[i].steps.size()) continue;
      const Option &now = items[i][all[i].steps[all[i].at]], &next = items[i][all[i].steps[all[i].at + 1]];
      if (bytes + next.bytes - now.bytes > limit) continue;
      if (gain(now, next) > most) most = gain(now, next), best = i;
    }
    if (best == all.size()) break;
    Item& item = all[best];
    bytes += items[best][item.steps[item.at + 1]].bytes - items[best][item.steps[item.at]].bytes;
    ++item.at;
  }
  std::vector<size_t> chosen;
  for (const Item& item : all) chosen.push_back(item.steps[item.at]);
  return chosen;
}

}  // namespace varve

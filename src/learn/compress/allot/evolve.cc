#include "learn/compress/allot/evolve.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/check.h"
#include "core/base/rng.h"

namespace varve {
namespace {

constexpr int kMostMoves = 3;
constexpr int kTries = 16;  // for a child that is not its parent

class Draw {
 public:
  explicit Draw(const RngKey& key) : key_(key) {}
  size_t below(size_t count) { return size_t(random_unit(key_, at_++) * double(count)); }

 private:
  RngKey key_;
  uint64_t at_ = 0;
};

int64_t bytes_of(const SearchSpace& space, std::span<const size_t> chosen) {
  int64_t sum = 0;
  for (size_t i = 0; i < chosen.size(); ++i) sum += space.bytes[i][chosen[i]];
  return sum;
}

// Some units get another version, larger or smaller; others pay step by step for what is too much, and what
// is left over goes, step by step, to whom it fits.
std::vector<size_t> child_of(const SearchSpace& space, std::span<const size_t> parent, Draw& draw) {
  std::vector<size_t> child(parent.begin(), parent.end());
  const size_t units = child.size();
  std::vector<bool> moved(units);
  const size_t moves = 1 + std::min(draw.below(kMostMoves), draw.below(kMostMoves));
  for (size_t i = 0; i < moves; ++i) {
    const size_t unit = draw.below(units), versions = space.bytes[unit].size();
    if (versions == 1) continue;
    child[unit] = (child[unit] + 1 + draw.below(versions - 1)) % versions, moved[unit] = true;
  }
  int64_t bytes = bytes_of(space, child);
  const auto step_bytes = [&](size_t unit, int by) {
    const auto& own = space.bytes[unit];
    return own[size_t(int64_t(child[unit]) + by)] - own[child[unit]];
  };
  std::vector<size_t> some;
  const auto take_steps = [&](int by, const auto& may) {
    while (true) {
      some.clear();
      for (size_t i = 0; i < units; ++i) {
        if (!moved[i] && may(i)) some.push_back(i);
      }
      if (some.empty()) return;
      const size_t unit = some[draw.below(some.size())];
      bytes += step_bytes(unit, by);
      child[unit] = size_t(int64_t(child[unit]) + by);
    }
  };
  take_steps(-1, [&](size_t i) { return bytes > space.limit && child[i] > 0; });
  if (bytes > space.limit) return {parent.begin(), parent.end()};
  take_steps(1, [&](size_t i) {
    return child[i] + 1 < space.bytes[i].size() && bytes + step_bytes(i, 1) <= space.limit;
  });
  return child;
}

}  // namespace

Result<Candidate> evolve(const SearchSpace& space, const Evolution& how, Candidate best, const Judge& judge,
                         const Generation& after) {
  CHECK(best.chosen.size() == space.bytes.size() && bytes_of(space, best.chosen) <= space.limit,
        "a choice within the limit to begin with");
  if (!std::isfinite(best.loss)) best.loss = TRY(judge(best.chosen, true));
  while (best.generation < how.generations) {
    Draw draw({how.seed, how.round << 32 | uint64_t(best.generation), Site::selection});
    std::vector<Candidate> children;
    for (int32_t i = 0; i < how.children; ++i) {
      std::vector<size_t> child = best.chosen;
      const auto known = [&](const Candidate& one) { return one.chosen == child; };
      for (int t = 0;
           t < kTries && (child == best.chosen || std::any_of(children.begin(), children.end(), known)); ++t)
        child = child_of(space, best.chosen, draw);
      if (child == best.chosen || std::any_of(children.begin(), children.end(), known)) continue;
      const double loss = TRY(judge(child, false));
      children.push_back({std::move(child), loss});
    }
    std::stable_sort(children.begin(), children.end(),
                     [](const Candidate& a, const Candidate& b) { return a.loss < b.loss; });
    for (size_t i = 0; i < children.size() && int32_t(i) < how.finalists; ++i) {
      const double loss = TRY(judge(children[i].chosen, true));
      if (loss < best.loss) best.loss = loss, best.chosen = children[i].chosen;
    }
    ++best.generation;
    TRY(after(best));
  }
  return best;
}

}  // namespace varve

// The search on losses that are made, where the optimum is known.
#include "learn/compress/allot/evolve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace varve {
namespace {

struct Made {  // a loss that is the sum over units, or with what pairs of neighbours add
  SearchSpace space;
  std::vector<std::vector<double>> loss;
  double pairs = 0;
  int judged = 0;

  explicit Made(uint32_t seed, size_t units = 9) {
    std::mt19937 random(seed);
    int64_t least = 0, most = 0;
    for (size_t i = 0; i < units; ++i) {
      const int64_t size = 100 * (1 + int64_t(random() % 4));
      const double weight = std::exp(double(random() % 1000) / 200.0);
      space.bytes.push_back({2 * size, 3 * size, 4 * size, 6 * size});
      auto& own = loss.emplace_back();
      for (const double bits : {2.0, 3.0, 4.0, 6.0})
        own.push_back(weight * double(size) * std::exp2(-2 * bits));
      least += 2 * size, most += 6 * size;
    }
    space.limit = least + (most - least) / 3;
  }
  double of(std::span<const size_t> chosen) const {
    double sum = 0;
    for (size_t i = 0; i < chosen.size(); ++i) {
      sum += loss[i][chosen[i]];
      if (i > 0) sum += pairs * std::sqrt(loss[i][chosen[i]] * loss[i - 1][chosen[i - 1]]);
    }
    return sum;
  }
  int64_t bytes(std::span<const size_t> chosen) const {
    int64_t sum = 0;
    for (size_t i = 0; i < chosen.size(); ++i) sum += space.bytes[i][chosen[i]];
    return sum;
  }
  double best() const {  // of every choice
    double least = INFINITY;
    std::vector<size_t> chosen(loss.size());
    for (size_t all = 0; all < size_t(1) << 2 * loss.size(); ++all) {
      for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = all >> 2 * i & 3;
      if (bytes(chosen) <= space.limit) least = std::min(least, of(chosen));
    }
    return least;
  }
  Judge judge(double noise = 0) {
    return [this, noise](std::span<const size_t> chosen, bool whole) -> Result<double> {
      ++judged;
      EXPECT_LE(bytes(chosen), space.limit);
      const double other = std::sin(double(judged) * 12.9898);  // what a short look says wrong
      return of(chosen) * (whole ? 1 : 1 + noise * other);
    };
  }
  Candidate start() const { return {std::vector<size_t>(loss.size())}; }
};

Status nothing(const Candidate&) {
  return {};
}

TEST(Evolve, finds_the_least_of_separable_losses) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Made made(seed);
    const auto found = evolve(made.space, {.generations = 400}, made.start(), made.judge(), nothing).value();
    EXPECT_NEAR(found.loss, made.best(), 1e-9 * found.loss) << seed;
    EXPECT_EQ(found.loss, made.of(found.chosen));
  }
}

TEST(Evolve, finds_it_where_neighbours_add_to_each_other_and_a_short_look_errs) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    Made made(seed);
    made.pairs = 0.7;
    const Evolution how{.generations = 200, .children = 8, .finalists = 3};
    const auto found = evolve(made.space, how, made.start(), made.judge(0.1), nothing).value();
    EXPECT_LT(found.loss, 1.02 * made.best()) << seed;
  }
}

TEST(Evolve, goes_on_from_any_generation_to_the_same_end) {
  Made made(3, 30);
  std::vector<Candidate> steps;
  const auto keep = [&](const Candidate& best) {
    steps.push_back(best);
    return Status();
  };
  const Evolution how{.generations = 20, .seed = 5};
  const auto whole = evolve(made.space, how, made.start(), made.judge(), keep).value();
  ASSERT_EQ(steps.size(), 20u);
  for (size_t i = 1; i < steps.size(); ++i) EXPECT_LE(steps[i].loss, steps[i - 1].loss);
  EXPECT_LT(steps.back().loss, 0.5 * made.of(made.start().chosen));
  for (const size_t at : {size_t(0), size_t(7), size_t(19)}) {
    const auto again = evolve(made.space, how, steps[at], made.judge(), nothing).value();
    EXPECT_EQ(again.chosen, whole.chosen) << at;
  }
  const auto other = evolve(made.space, {.generations = 20, .seed = 6}, made.start(), made.judge(), nothing);
  EXPECT_NE(other->chosen, whole.chosen) << "another seed, another way";
}

TEST(Evolve, stays_where_nothing_can_move_and_passes_on_what_fails) {
  Made made(1);
  made.space.limit = made.bytes(made.start().chosen);
  const auto found = evolve(made.space, {.generations = 3}, made.start(), made.judge(), nothing).value();
  EXPECT_EQ(found.chosen, made.start().chosen);
  EXPECT_EQ(made.judged, 1) << "there is no child to judge";
  const Judge fails = [](auto, bool) -> Result<double> { return Status(Code::io, "no"); };
  EXPECT_EQ(evolve(made.space, {}, made.start(), fails, nothing).code(), Code::io);
}

}  // namespace
}  // namespace varve

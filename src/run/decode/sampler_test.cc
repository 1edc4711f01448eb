#include "run/decode/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/base/rng.h"

namespace varve {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
using Logits = std::vector<float>;

// All of it off: the distribution itself.
const SamplingOptions kPlain{.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0};

Sampled drawn(Logits logits, const SamplingOptions& options, uint64_t index = 0,
              std::vector<int32_t> history = {}) {
  auto sampled = sample(logits, history, index, options);
  if (!sampled.ok()) ADD_FAILURE() << std::move(sampled).status().text();
  return std::move(sampled).value();
}

Logits random_logits(size_t count, uint64_t seed) {
  Logits logits(count);
  for (size_t i = 0; i < count; ++i) logits[i] = static_cast<float>(3 * random_normal({.seed = seed}, i));
  return logits;
}

std::vector<double> softmax(const Logits& logits, double temperature = 1) {
  std::vector<double> p;
  double sum = 0;
  for (const float logit : logits) sum += p.emplace_back(std::exp(logit / temperature));
  for (double& each : p) each /= sum;
  return p;
}

std::set<int32_t> reachable(const Logits& logits, const SamplingOptions& options, int draws = 3000) {
  std::set<int32_t> seen;
  for (int i = 0; i < draws; ++i) seen.insert(drawn(logits, options, uint64_t(i)).token);
  return seen;
}

TEST(Sampler, GreedyTakesTheSmallestOfTheBest) {
  const SamplingOptions greedy{.temperature = 0};
  EXPECT_EQ(drawn({1, 5, 5, 2}, greedy).token, 1);
  EXPECT_EQ(drawn({-kInfinity, -3, kNaN, -3}, greedy).token, 1);
  EXPECT_EQ(drawn({0, kInfinity, 7, kInfinity}, greedy).token, 1);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Logits logits = random_logits(100, seed);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    EXPECT_EQ(drawn(logits, greedy, seed).token, best);
  }
}

TEST(Sampler, ALowTemperatureIsGreedyInTheEnd) {
  SamplingOptions options = kPlain;
  options.temperature = 1e-6f;
  for (uint64_t i = 0; i < 50; ++i) EXPECT_EQ(drawn({1, 2, 3, 2.99f}, options, i).token, 2);
}

TEST(Sampler, SeedAndIndexDecide) {
  const Logits logits = random_logits(500, 1);
  SamplingOptions one = kPlain, other = kPlain;
  one.seed = 1, other.seed = 2;
  int same_seed = 0, same_other = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    same_seed += drawn(logits, one, i).token == drawn(logits, one, i).token;
    same_other += drawn(logits, one, i).token == drawn(logits, other, i).token;
  }
  EXPECT_EQ(same_seed, 100);
  EXPECT_LT(same_other, 30);
}

// Chi square over the cells; 99.99 % of true samples of 19 degrees of freedom stay below 51.
void expect_frequencies(const Logits& logits, const SamplingOptions& options,
                        const std::vector<double>& wanted) {
  const int draws = 20000;
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i) ++counts[drawn(logits, options, uint64_t(i)).token];
  double chi = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double expected = wanted[i] * draws;
    chi += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi, 51);
}

TEST(Sampler, DrawsWithTheProbabilitiesOfTheDistribution) {
  Logits logits(20);
  for (int i = 0; i < 20; ++i) logits[i] = 0.1f * static_cast<float>(i % 7);
  SamplingOptions options = kPlain;
  options.seed = 11;
  expect_frequencies(logits, options, softmax(logits));
  options.temperature = 0.5f;
  expect_frequencies(logits, options, softmax(logits, 0.5));
  options.temperature = 1, options.top_k = 20;  // sorted: another order of adding, the same frequencies
  expect_frequencies(logits, options, softmax(logits));
}

// Which tokens the three cuts leave, by their definitions.
std::set<int32_t> allowed(const Logits& logits, const SamplingOptions& options) {
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  if (options.top_k > 0) order.resize(std::min(order.size(), size_t(options.top_k)));
  Logits kept;
  for (const int32_t token : order) kept.push_back(logits[token]);
  const std::vector<double> p = softmax(kept);
  double sum = 0;
  size_t count = 0;
  while (count < p.size() && (count == 0 || sum < options.top_p)) sum += p[count++];
  while (p[count - 1] < options.min_p * p[0]) --count;
  return {order.begin(), order.begin() + static_cast<ptrdiff_t>(count)};
}

TEST(Sampler, CutsByTopKTopPAndMinP) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const Logits logits = random_logits(30, seed);
    SamplingOptions options = kPlain;
    options.temperature = 30;  // after the cuts, so that every token left does come up
    options.seed = seed;
    if (seed % 3 == 0) options.top_k = 5;
    if (seed % 2 == 0) options.top_p = 0.7f;
    if (seed % 4 > 1) options.min_p = 0.1f;
    EXPECT_EQ(reachable(logits, options), allowed(logits, options)) << "seed " << seed;
  }
  SamplingOptions narrow = kPlain;
  narrow.top_p = 0;
  EXPECT_EQ(reachable({1, 3, 3, 2}, narrow, 100), (std::set<int32_t>{1}));
}

TEST(Sampler, TopPReachesBeyondTheFirstSortedPart) {
  const Logits flat(1000, 1.0f);
  SamplingOptions options = kPlain;
  options.top_p = 0.5f;
  const std::set<int32_t> seen = reachable(flat, options, 5000);
  EXPECT_GT(seen.size(), 480u);
  EXPECT_LE(*seen.rbegin(), 500);  // of equals the smaller ids
}

TEST(Sampler, PenalisesWhatWasSaid) {
  SamplingOptions options{.temperature = 0};
  options.repeat_penalty = 2;
  EXPECT_EQ(drawn({4, 3, 1}, options, 0, {0}).token, 1);        // 4 / 2
  EXPECT_EQ(drawn({-1, -1.5f, -9}, options, 0, {0}).token, 1);  // -1 * 2
  options.repeat_penalty = 1, options.presence_penalty = 1;
  EXPECT_EQ(drawn({4, 3.5f, 1}, options, 0, {0, 0, 0}).token, 1);
  EXPECT_EQ(drawn({4, 2.5f, 1}, options, 0, {0, 0, 0}).token, 0);  // once, not for each time
  options.presence_penalty = 0, options.frequency_penalty = 1;
  EXPECT_EQ(drawn({4, 2.5f, 1}, options, 0, {0, 0, 0}).token, 1);
  options.penalty_window = 1;
  EXPECT_EQ(drawn({4, 2.5f, 1}, options, 0, {0, 0, 0}).token, 0);
  options.penalty_window = -1;
  EXPECT_EQ(drawn({4, 2.5f, 1}, options, 0, {0, 0, -5, 99}).token, 1);  // strangers are ignored
}

TEST(Sampler, BiasForcesAndBans) {
  SamplingOptions options{.temperature = 0};
  options.logit_bias = {{0, -100.0f}, {2, 5.0f}, {77, 100.0f}};
  EXPECT_EQ(drawn({9, 1, 0}, options).token, 2);
  options.logit_bias = {{0, -kInfinity}};
  EXPECT_EQ(drawn({9, 1, 0}, options).token, 1);
}

TEST(Sampler, SaysWhenNothingCanFollow) {
  Logits empty, never{-kInfinity, kNaN}, two{1, 2};
  EXPECT_EQ(sample(empty, {}, 0, kPlain).code(), Code::corrupt);
  EXPECT_EQ(sample(never, {}, 0, kPlain).code(), Code::corrupt);
  SamplingOptions all_banned = kPlain;
  all_banned.logit_bias = {{0, -100.0f}, {1, -100.0f}};
  EXPECT_EQ(sample(two, {}, 0, all_banned).code(), Code::invalid);
}

TEST(Sampler, NeverDrawsTheForbidden) {
  Logits logits(300, -kInfinity);
  logits[17] = -50, logits[200] = -51, logits[3] = kNaN;
  EXPECT_EQ(reachable(logits, kPlain, 500), (std::set<int32_t>{17, 200}));
}

TEST(Sampler, LogprobsAreOfTheModelsOwnDistribution) {
  const Logits logits = random_logits(40, 4);
  const std::vector<double> p = softmax(logits);
  SamplingOptions options;
  options.logprobs = 3;
  options.repeat_penalty = 1.5f;
  options.logit_bias = {{5, 30.0f}};
  const Sampled sampled = drawn(logits, options, 0, {5, 5, 6});
  EXPECT_EQ(sampled.token, 5);
  EXPECT_NEAR(sampled.logprob, std::log(p[5]), 1e-5);
  ASSERT_EQ(sampled.best.size(), 3u);
  const auto most = std::max_element(p.begin(), p.end()) - p.begin();
  EXPECT_EQ(sampled.best[0].first, most);
  EXPECT_NEAR(sampled.best[0].second, std::log(p[most]), 1e-5);
  EXPECT_GE(sampled.best[0].second, sampled.best[1].second);
  EXPECT_GE(sampled.best[1].second, sampled.best[2].second);
  EXPECT_TRUE(drawn(logits, kPlain).best.empty());
}

TEST(SamplingOptions, NamesTheFieldThatIsWrong) {
  EXPECT_TRUE(SamplingOptions{}.validate().ok());
  const auto wrong = [](auto change) {
    SamplingOptions options;
    change(options);
    const Status status = options.validate();
    EXPECT_EQ(status.code(), Code::invalid);
    return std::string(status.message().substr(0, status.message().find(' ')));
  };
  EXPECT_EQ(wrong([](auto& o) { o.temperature = -1; }), "temperature");
  EXPECT_EQ(wrong([](auto& o) { o.temperature = kNaN; }), "temperature");
  EXPECT_EQ(wrong([](auto& o) { o.top_k = -1; }), "top_k");
  EXPECT_EQ(wrong([](auto& o) { o.top_p = 1.5f; }), "top_p");
  EXPECT_EQ(wrong([](auto& o) { o.min_p = -0.1f; }), "min_p");
  EXPECT_EQ(wrong([](auto& o) { o.repeat_penalty = 0; }), "repeat_penalty");
  EXPECT_EQ(wrong([](auto& o) { o.frequency_penalty = 3; }), "frequency_penalty");
  EXPECT_EQ(wrong([](auto& o) { o.presence_penalty = -3; }), "presence_penalty");
  EXPECT_EQ(wrong([](auto& o) { o.penalty_window = -2; }), "penalty_window");
  EXPECT_EQ(wrong([](auto& o) { o.logprobs = 101; }), "logprobs");
  EXPECT_EQ(wrong([](auto& o) { o.logit_bias[-1] = 0; }), "logit_bias");
  EXPECT_EQ(wrong([](auto& o) { o.logit_bias[1] = kNaN; }), "logit_bias");
}

}  // namespace
}  // namespace varve

// Pages against plain arrays: whatever is appended, cut, forked or fitted, a cache reads like the array.
#include "run/kv/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "run/kv/kv_pool.h"

namespace varve {
namespace {

constexpr KvShape kShape{.layers = 3, .kv_heads = 2, .key_dim = 32, .value_dim = 64};
constexpr int64_t kBlock = 3 * 2 * (kPageTokens * (32 + 64) * 4 + kPageTokens * 4);  // f32, all lanes
constexpr int64_t kBudget = 64 << 20;

struct Row {
  int32_t position;
  std::vector<float> key, value;
  bool operator==(const Row&) const = default;
};
using PlainLane = std::vector<Row>;

class Bench {
 public:
  explicit Bench(const std::string& recipe_text, int64_t limit = kBudget) : ledger(limit) {
    auto parsed = parse_kv_recipe(recipe_text);
    CHECK(parsed.ok(), "recipe");
    recipe = *parsed;
    auto made = make_kv_pool(ledger, kShape, recipe);
    CHECK(made.ok(), "pool");
    pool = *made;
    auto arena = Scratch::make(ledger, 4 << 20);
    CHECK(arena.ok(), "scratch");
    scratch = std::move(*arena);
  }
  int64_t kv_bytes() const { return ledger.used(Tag::kv); }

  Ledger ledger;
  KvRecipe recipe;
  std::shared_ptr<KvPool> pool;
  ThreadPool threads{1};
  Ops ops{threads};
  Scratch scratch;
};

std::unique_ptr<KvCache> new_cache(const Bench& bench, const KvSnapshot& from = {}) {
  auto made = make_kv_cache(bench.pool, from);
  CHECK(made.ok(), "cache");
  return std::move(*made);
}

// A cache and the arrays that it must equal.
struct Twin {
  std::unique_ptr<KvCache> cache;
  std::vector<PlainLane> plain{size_t(kShape.layers * kShape.kv_heads)};
};

// Values that every format stores exactly enough to be told apart, from a counter that never repeats soon.
float value_of(uint64_t serial, int column) {
  return float((serial * 31 + uint64_t(column)) % 1021) / 8 - 60;
}

Status grow(Bench& bench, Twin& twin, int32_t count, uint64_t& serial) {
  TRY(twin.cache->reserve(count));
  std::vector<int32_t> positions(size_t(count), 0);
  for (int32_t i = 0; i < count; ++i) positions[i] = twin.cache->tokens() + i;
  const int key_width = kShape.kv_heads * kShape.key_dim, value_width = kShape.kv_heads * kShape.value_dim;
  for (int32_t layer = 0; layer < kShape.layers; ++layer, ++serial) {
    std::vector<float> keys(size_t(count) * key_width), values(size_t(count) * value_width);
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = value_of(serial, int(i));
    for (size_t i = 0; i < values.size(); ++i) values[i] = -value_of(serial, int(i));
    const int64_t mark = bench.scratch.mark();
    Rows key_rows = bench.scratch.take(count, key_width), value_rows = bench.scratch.take(count, value_width);
    bench.ops.load(keys, key_rows);
    bench.ops.load(values, value_rows);
    TRY(twin.cache->append(bench.ops, layer, key_rows, value_rows, positions));
    bench.scratch.release(mark);
    for (int32_t head = 0; head < kShape.kv_heads; ++head) {
      for (int32_t i = 0; i < count; ++i) {
        const float* key = &keys[size_t(i) * key_width + head * kShape.key_dim];
        const float* value = &values[size_t(i) * value_width + head * kShape.value_dim];
        twin.plain[layer * kShape.kv_heads + head].push_back(
            {positions[i], {key, key + kShape.key_dim}, {value, value + kShape.value_dim}});
      }
    }
  }
  return {};
}

PlainLane read_lane(const Codec& codec, std::span<const KvPageView> pages) {
  PlainLane lane;
  for (const KvPageView& page : pages) {
    const size_t rows = page.positions.size();
    std::vector<float> keys(rows * kShape.key_dim), values(rows * kShape.value_dim);
    codec.decode(page.keys, keys);
    codec.decode(page.values, values);
    for (size_t i = 0; i < rows; ++i) {
      const auto key = keys.begin() + i * kShape.key_dim;
      const auto value = values.begin() + i * kShape.value_dim;
      lane.push_back({page.positions[i], {key, key + kShape.key_dim}, {value, value + kShape.value_dim}});
    }
  }
  return lane;
}

void expect_equal(Twin& twin) {
  for (int32_t layer = 0; layer < kShape.layers; ++layer) {
    auto lanes = twin.cache->lanes(layer);
    ASSERT_EQ(lanes.size(), size_t(kShape.kv_heads));
    for (int32_t head = 0; head < kShape.kv_heads; ++head) {
      ASSERT_TRUE(read_lane(twin.cache->codec(), lanes[head]) == twin.plain[layer * kShape.kv_heads + head]);
    }
  }
}

void cut(Twin& twin, int32_t tokens) {
  for (PlainLane& lane : twin.plain) {
    while (!lane.empty() && lane.back().position >= tokens) lane.pop_back();
  }
}

TEST(KvCache, OverBudgetChangesNothingAndReservedMeansReserved) {
  Bench bench("pack=f32", (4 << 20) + 3 * kBlock + 100);
  uint64_t serial = 1;
  Twin twin{.cache = new_cache(bench)};
  ASSERT_TRUE(grow(bench, twin, 70, serial).ok());
  EXPECT_EQ(bench.kv_bytes(), 2 * kBlock);
  EXPECT_EQ(twin.cache->bytes(), 2 * kBlock);
  EXPECT_EQ(twin.cache->reserve(3 * kPageTokens - 70 + 1).code(), Code::over_budget);
  EXPECT_EQ(bench.kv_bytes(), 2 * kBlock);
  EXPECT_EQ(twin.cache->bytes(), 2 * kBlock);
  ASSERT_TRUE(twin.cache->reserve(3 * kPageTokens - 70).ok());
  auto rest = bench.ledger.reserve(Tag::index, bench.ledger.limit() - bench.ledger.used());
  EXPECT_TRUE(grow(bench, twin, 3 * kPageTokens - 70, serial).ok());
  EXPECT_EQ(grow(bench, twin, 1, serial).code(), Code::over_budget);
  expect_equal(twin);
}

TEST(KvCache, TheWorstCaseIsWhatReserveTakes) {
  for (const char* text :
       {"pack=f32", "pack=f16", "pack=f32 policy=streaming budget_tokens=100",
        "policy=snapkv budget_tokens=100", "policy=streaming budget_tokens=100 allot=pyramid"}) {
    for (int32_t tokens : {1, 64, 65, 200, 1000}) {
      Bench bench(text);
      auto cache = new_cache(bench);
      ASSERT_TRUE(cache->reserve(tokens).ok());
      EXPECT_EQ(bench.kv_bytes(), kv_bytes_for(kShape, bench.recipe, tokens)) << text << " " << tokens;
      EXPECT_EQ(cache->bytes(), bench.kv_bytes());
      cache.reset();
      EXPECT_EQ(bench.kv_bytes(), 0);
    }
  }
}

TEST(KvCache, AForkAndItsOriginGrowApart) {
  Bench bench("pack=f32");
  uint64_t serial = 1;
  Twin origin{.cache = new_cache(bench)};
  ASSERT_TRUE(grow(bench, origin, 100, serial).ok());
  auto taken = origin.cache->snapshot(90);
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(taken->bytes(), 2 * kBlock);
  Twin fork{.cache = new_cache(bench, *taken), .plain = origin.plain};
  cut(fork, 90);
  EXPECT_EQ(bench.kv_bytes(), 2 * kBlock) << "nothing is copied yet";
  expect_equal(fork);
  ASSERT_TRUE(grow(bench, fork, 3, serial).ok());
  EXPECT_EQ(bench.kv_bytes(), 3 * kBlock) << "only the newest page of each lane is copied";
  ASSERT_TRUE(grow(bench, origin, 3, serial).ok());
  expect_equal(fork);
  expect_equal(origin);
}

TEST(KvCache, AFitKeepsThePositionsOfWhatStays) {
  Bench bench("pack=f32 policy=streaming:sinks=2 budget_tokens=70");
  uint64_t serial = 1;
  Twin twin{.cache = new_cache(bench)};
  ASSERT_TRUE(twin.cache->reserve(1000).ok());
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(grow(bench, twin, 32, serial).ok());
    ASSERT_TRUE(i % 2 == 0 || twin.cache->fit().ok());
  }
  EXPECT_EQ(twin.cache->tokens(), 128);
  for (PlainLane& lane : twin.plain) lane.erase(lane.begin() + 2, lane.begin() + 60);
  expect_equal(twin);
  EXPECT_EQ(twin.cache->snapshot(1).code(), Code::unsupported);
  EXPECT_EQ(twin.cache->truncate(127).code(), Code::unsupported);
  ASSERT_TRUE(grow(bench, twin, 5, serial).ok());
  ASSERT_TRUE(twin.cache->truncate(129).ok());
  cut(twin, 129);
  expect_equal(twin);
}

TEST(KvCache, UnevenLanesStayInsideWhatWasReserved) {
  Bench bench("pack=f32 policy=streaming:sinks=2 budget_tokens=70 allot=pyramid");
  uint64_t serial = 1;
  Twin twin{.cache = new_cache(bench)};
  ASSERT_TRUE(twin.cache->reserve(2000).ok());
  auto rest = bench.ledger.reserve(Tag::index, bench.ledger.limit() - bench.ledger.used());
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(grow(bench, twin, 32, serial).ok()) << i;
    ASSERT_TRUE(i % 2 == 0 || twin.cache->fit().ok());
  }
  EXPECT_GT(twin.cache->lanes(0)[0].size(), twin.cache->lanes(2)[0].size());
  EXPECT_EQ(twin.cache->counts().kept, 2 * (136 + 70 + 3));
  EXPECT_EQ(twin.cache->counts().kept + twin.cache->counts().dropped, 6 * 1920);
}

TEST(KvCache, AttentionIsCountedForWhoAsks) {
  Bench bench("pack=f32 policy=snapkv:window=8 budget_tokens=70"), other("pack=f32 policy=streaming");
  uint64_t serial = 1;
  Twin asks{.cache = new_cache(bench)}, does_not{.cache = new_cache(other)};
  ASSERT_TRUE(grow(bench, asks, 60, serial).ok() && grow(other, does_not, 60, serial).ok());
  std::vector<int32_t> positions(10);
  std::iota(positions.begin(), positions.end(), 50);
  EXPECT_TRUE(does_not.cache->scores(1, positions).lanes.empty());
  const AttendScores scores = asks.cache->scores(1, positions);
  ASSERT_EQ(scores.lanes.size(), 2u);
  EXPECT_EQ(scores.lanes[0].size(), 60u);
  EXPECT_EQ(scores.first_row, 6) << "positions 56 to 63 are the window of the next fit";
  EXPECT_TRUE(asks.cache->scores(1, std::span(positions).first(6)).lanes.empty());
}

// Every second token of what is too much goes into the one before it.
class Pairs : public KvPolicy {
 public:
  explicit Pairs(bool counted) : counted_(counted) {}
  KvNeeds needs() const override { return {.keys = true, .surprise = true, .merges = true}; }
  KvPlan plan(const KvLane& lane, size_t keep) const override {
    EXPECT_EQ(lane.keys.size(), lane.size() * size_t(kShape.key_dim));
    for (size_t i = 0; i < lane.size(); ++i) EXPECT_EQ(lane.surprise[i], float(lane.positions[i]));
    KvPlan plan{
        .fate = std::vector<Fate>(lane.size(), Fate::keep), .into = {}, .share = {}, .counted = counted_};
    plan.into.resize(lane.size());
    for (size_t i = 0; i < lane.size() - keep; ++i) {
      plan.fate[2 * i + 1] = Fate::merge;
      plan.into[2 * i + 1] = int32_t(2 * i);
    }
    return plan;
  }

 private:
  bool counted_;
};

TEST(KvCache, AMergeIsAMeanThatCountsAsManyTokens) {
  for (const bool counted : {true, false}) {
    Bench bench("pack=f32");
    KvMethods methods{.policy = std::make_unique<Pairs>(counted), .allotter = nullptr, .budget_tokens = 48};
    methods.needs = methods.policy->needs();
    bench.pool = std::make_shared<KvPool>(bench.ledger, kShape, **codec_named("f32"), std::move(methods));
    uint64_t serial = 1;
    Twin twin{.cache = new_cache(bench)};
    ASSERT_TRUE(grow(bench, twin, 64, serial).ok());
    for (int32_t place = 0; place < 64; ++place) twin.cache->notes().surprised(place, float(place));
    ASSERT_TRUE(twin.cache->fit().ok());
    for (PlainLane& lane : twin.plain) {
      for (size_t i = 0; i < 16; ++i) {  // 16 pairs, then what was never touched
        Row &one = lane[i], &other = lane[i + 1];
        for (size_t d = 0; d < one.key.size(); ++d) one.key[d] = (one.key[d] + other.key[d]) / 2;
        for (size_t d = 0; d < one.value.size(); ++d) one.value[d] = (one.value[d] + other.value[d]) / 2;
        lane.erase(lane.begin() + ptrdiff_t(i) + 1);
      }
    }
    expect_equal(twin);
    EXPECT_EQ(twin.cache->counts().merged, 6 * 16);
    double stands_for = 0;
    for (float weight : twin.cache->lanes(2)[1].front().weights) stands_for += std::exp(double(weight));
    EXPECT_NEAR(stands_for, counted ? 64 : 48, 1e-4) << "kept and merged together are as many as were read";
    EXPECT_EQ(twin.cache->snapshot(64).code(), Code::unsupported);
    ASSERT_TRUE(grow(bench, twin, 1, serial).ok());
    EXPECT_EQ(twin.cache->lanes(0)[0].front().weights.back(), 0);
  }
}

TEST(KvCache, RefusesASnapshotOfAnotherPool) {
  Bench bench("pack=f32"), other("pack=f32");
  uint64_t serial = 1;
  Twin twin{.cache = new_cache(bench)};
  ASSERT_TRUE(grow(bench, twin, 3, serial).ok());
  auto taken = twin.cache->snapshot(3);
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(make_kv_cache(other.pool, *taken).code(), Code::invalid);
  EXPECT_EQ(twin.cache->snapshot(4).code(), Code::invalid);
}

TEST(KvCache, RefusesAShapeThatThePackCannotStore) {
  Ledger ledger(kBudget);
  KvShape narrow = kShape;
  narrow.key_dim = 24;
  EXPECT_EQ(make_kv_pool(ledger, narrow, {.pack = "q8_0"}).code(), Code::invalid);
  EXPECT_EQ(make_kv_pool(ledger, {}, {}).code(), Code::invalid);
}

struct Play {
  Bench& bench;
  std::mt19937 random;
  std::vector<Twin> twins;
  uint64_t serial = 1;

  void fit(Twin& twin) {
    Status fitted = twin.cache->fit();
    ASSERT_TRUE(fitted.ok() || fitted.code() == Code::over_budget);
    if (bench.recipe.budget_tokens == 0 || !fitted.ok()) return;
    const std::vector<int32_t> budgets = allotted(twin);
    for (size_t i = 0; i < budgets.size(); ++i) {  // sinks=2
      PlainLane& lane = twin.plain[i];
      if (int32_t(lane.size()) > budgets[i]) lane.erase(lane.begin() + 2, lane.end() - (budgets[i] - 2));
    }
  }

  std::vector<int32_t> allotted(const Twin& twin) const {
    const int32_t budget = bench.recipe.budget_tokens;
    size_t all = 0;
    std::vector<KvLane> shown;
    for (size_t i = 0; i < twin.plain.size(); ++i) {
      all += twin.plain[i].size();
      shown.push_back({.layer = int(i) / kShape.kv_heads});
    }
    if (bench.recipe.allot != "uniform" && all <= size_t(budget) * shown.size())
      return std::vector<int32_t>(shown.size(), 1 << 30);
    return kv_allotters().make(bench.recipe.allot).value()->allot(shown, budget);
  }

  void step() {
    Twin& twin = twins[random() % twins.size()];
    const int32_t tokens = twin.cache->tokens();
    switch (random() % 8) {
      case 0: {  // fork onto another
        auto taken = twin.cache->snapshot(tokens == 0 ? 0 : int32_t(random() % (tokens + 1)));
        if (!taken.ok()) break;
        Twin fork{.cache = new_cache(bench, *taken), .plain = twin.plain};
        cut(fork, taken->tokens);
        twins[random() % twins.size()] = std::move(fork);
        break;
      }
      case 1: {
        const int32_t to = int32_t(random() % (tokens + 1));
        if (twin.cache->truncate(to).ok()) cut(twin, to);
        break;
      }
      case 2: twin = Twin{.cache = new_cache(bench)}; break;
      case 3: fit(twin); break;
      default: {
        Status grown = grow(bench, twin, 1 + int32_t(random() % 90), serial);
        ASSERT_TRUE(grown.ok() || grown.code() == Code::over_budget);
      }
    }
  }
};

class KvPages : public testing::TestWithParam<const char*> {};

TEST_P(KvPages, ReadLikePlainArraysThroughAnyInterleaving) {
  Bench bench(GetParam(), (4 << 20) + 20 * kBlock);
  Play play{.bench = bench, .random = std::mt19937(5)};
  for (int i = 0; i < 8; ++i) play.twins.push_back({.cache = new_cache(bench)});
  for (int round = 0; round < 1500; ++round) {
    ASSERT_NO_FATAL_FAILURE(play.step());
    if (round % 7 == 0) {
      for (Twin& twin : play.twins) ASSERT_NO_FATAL_FAILURE(expect_equal(twin)) << round;
    }
    ASSERT_EQ(bench.kv_bytes(), bench.pool->booked_bytes());
  }
  play.twins.clear();
  EXPECT_EQ(bench.kv_bytes(), 0);
}

INSTANTIATE_TEST_SUITE_P(Recipes, KvPages,
                         testing::Values("pack=f32", "pack=f32 policy=streaming:sinks=2 budget_tokens=70",
                                         "pack=f32 policy=streaming:sinks=2 budget_tokens=70 allot=pyramid"));

}  // namespace
}  // namespace varve

// Keys far behind are read as if they lay nearer: what attention gives is what it would give had the tokens
// that are read stood side by side from the start.
#include "math/ops/turn.h"
#include "run/kv/desk_test.h"

namespace varve {
namespace {

constexpr int32_t kTrained = 256, kTokens = 1000;
const RopeSpec kRope{.kind = RopeKind::halves, .dim = 32, .base = 10000};

// A query of the newest token and the cache of those before it; places[i] is where token i is said to stand.
std::vector<float> attend_at(Desk& desk, KvCache& kv, const std::vector<int32_t>& tokens,
                             const std::vector<int32_t>& places) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    for (int32_t layer = 0; layer < kShape.layers; ++layer) {
      const auto values = normal(kWidth, uint32_t(7 * tokens[i] + 3));
      auto keys = normal(kWidth, uint32_t(7 * tokens[i] + 1));
      turn_rows(kRope, 32, std::vector<int32_t>(2, places[i]), keys);
      const int64_t mark = desk.scratch.mark();
      const Rows k = desk.scratch.take(1, kWidth), v = desk.scratch.take(1, kWidth);
      desk.ops.load(keys, k), desk.ops.load(values, v);
      EXPECT_TRUE(kv.append(desk.ops, layer, k, v, {&places[i], 1}).ok());
      desk.scratch.release(mark);
    }
    const bool fits = kv.tokens() % kPageTokens != 0 || kv.fit().ok();
    EXPECT_TRUE(fits);
  }
  auto query = normal(kQuery, 5);
  turn_rows(kRope, 32, std::vector<int32_t>(4, places.back()), query);
  return desk.attend(kv, query);
}

std::vector<int32_t> count_to(int32_t end) {
  std::vector<int32_t> all;
  for (int32_t i = 0; i < end; ++i) all.push_back(i);
  return all;
}

// The same tokens in a cache of their own, side by side.
std::vector<float> side_by_side(const std::vector<int32_t>& tokens) {
  Desk desk("");
  auto kv = desk.cache();
  EXPECT_TRUE(kv->reserve(kTokens).ok());
  return attend_at(desk, *kv, tokens, count_to(int32_t(tokens.size())));
}

std::vector<int32_t> read_of(KvCache& kv) {
  std::vector<int32_t> read;
  for (const KvPageView& page : kv.lanes(1)[0])
    read.insert(read.end(), page.positions.begin(), page.positions.end());
  return read;
}

TEST(Nearer, WhatAPolicyLeavesIsReadSideBySideBeyondTheTrainedLength) {
  Desk desk("policy=streaming:sinks=4,window=100"), as_it_lies("policy=streaming:sinks=4,window=100");
  desk.kv_pool->positions = {.trained = kTrained, .layers = {kRope, kRope}};
  auto kv = desk.cache(), far = as_it_lies.cache();
  ASSERT_TRUE(kv->reserve(kTokens).ok() && far->reserve(kTokens).ok());
  const auto got = attend_at(desk, *kv, count_to(kTokens), count_to(kTokens));
  const auto expected = side_by_side(read_of(*kv));
  EXPECT_LT(relative(got, expected), 5e-3);
  EXPECT_GT(relative(attend_at(as_it_lies, *far, count_to(kTokens), count_to(kTokens)), expected), 2e-2);
  EXPECT_EQ(read_of(*kv), read_of(*far)) << "what the cache holds is as it was";
}

TEST(Nearer, NothingMovesWithinTheTrainedLengthNorWhereEverythingIsRead) {
  for (const char* recipe : {"policy=streaming:sinks=4,window=100", ""}) {
    Desk one(recipe), other(recipe);
    const int32_t tokens = recipe[0] == 0 ? kTokens : kTrained;
    one.kv_pool->positions = {.trained = kTrained, .layers = {kRope, kRope}};
    auto a = one.cache(), b = other.cache();
    ASSERT_TRUE(a->reserve(kTokens).ok() && b->reserve(kTokens).ok());
    EXPECT_EQ(attend_at(one, *a, count_to(tokens), count_to(tokens)),
              attend_at(other, *b, count_to(tokens), count_to(tokens)));
  }
}

TEST(Nearer, WhatIsSelectedIsReadSideBySidePackedOrNot) {
  for (const char* pack : {"f16", "kivi:bits=4,residual=64"}) {
    Desk desk("select=box:pages=1,window=1 pack=" + std::string(pack)),
        plain("select=box:pages=1,window=1 pack=" + std::string(pack));
    desk.kv_pool->positions = {.trained = kTrained, .layers = {kRope, kRope}};
    auto kv = desk.cache(), other = plain.cache();
    ASSERT_TRUE(kv->reserve(kTokens).ok() && other->reserve(kTokens).ok());
    const auto got = attend_at(desk, *kv, count_to(kTokens), count_to(kTokens));
    attend_at(plain, *other, count_to(kTokens), count_to(kTokens));
    // What the same query reads where nothing moves: page by page.
    auto query = normal(kQuery, 5);
    turn_rows(kRope, 32, std::vector<int32_t>(4, kTokens - 1), query);
    const int64_t mark = plain.scratch.mark();
    const Rows q = plain.scratch.take(1, kQuery);
    plain.ops.load(query, q);
    AttendSpec how = kHow;
    how.codec = &other->codec();
    std::vector<int32_t> read;
    for (const KvPageView& page : (*other->reads(plain.ops, 1, q, how))[0])
      read.insert(read.end(), page.positions.begin(), page.positions.end());
    plain.scratch.release(mark);
    ASSERT_LT(read.size(), size_t(kTrained));
    const auto expected = side_by_side(read);
    // Lanes choose by themselves: the two heads of the first are compared.
    double error = 0, size = 0;
    for (size_t i = 0; i < 64; ++i) {
      error += std::pow(double(got[i]) - double(expected[i]), 2);
      size += std::pow(double(expected[i]), 2);
    }
    EXPECT_LT(std::sqrt(error / size), pack[0] == 'f' ? 5e-3 : 0.15) << pack;
  }
}

}  // namespace
}  // namespace varve

// Requests that begin alike and arrive together: what they share is read once.
#include <algorithm>
#include <deque>
#include <set>

#include "run/engine/rig_test.h"

namespace varve {
namespace {

// Documents with questions, and the questions of a document ask about its parts: prefixes within prefixes.
std::vector<Request> batch(int count) {
  std::vector<Request> all;
  for (int i = 0; i < count; ++i) {
    std::vector<Token> tokens = prompt_of(70, 1);  // a system prompt
    for (Token token : prompt_of(300, uint64_t(100 + i % 8))) tokens.push_back(token);
    for (Token token : prompt_of(50, uint64_t(200 + i % 40))) tokens.push_back(token);
    for (Token token : prompt_of(20 + i % 7, uint64_t(1000 + i))) tokens.push_back(token);
    all.push_back(ask(std::move(tokens), 2));
  }
  return all;
}

int64_t unique_tokens(const std::vector<Request>& all) {
  std::set<std::vector<Token>> nodes;  // of the trie
  for (const Request& one : all) {
    for (size_t length = 1; length <= one.tokens.size(); ++length)
      nodes.emplace(one.tokens.begin(), one.tokens.begin() + int64_t(length));
  }
  return int64_t(nodes.size());
}

int64_t prefilled(const std::vector<Request>& all, const EngineOptions& options, int64_t limit) {
  Rig rig(options, std::make_shared<FakeModel>(), limit);
  std::deque<Heard> heard(all.size());
  std::mutex gate;
  std::unique_lock closed(gate);
  rig.model->before_pass = [&] { std::lock_guard open(gate); };
  for (size_t i = 0; i < all.size(); ++i) rig.submit(all[i], heard[i]);
  closed.unlock();
  int64_t generated = 0, asked = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(heard[i].wait(), Finish::length);
    EXPECT_EQ(heard[i].tokens(), expected(all[i])) << i;
    generated += int64_t(heard[i].tokens().size()) - 1;
    asked += int64_t(all[i].tokens.size());
  }
  EXPECT_EQ(rig.engine->stats().prompt_tokens, asked);
  EXPECT_EQ(asked - rig.engine->stats().prefill_tokens_saved, rig.model->rows_computed - generated);
  return rig.model->rows_computed - generated;
}

TEST(Sharing, TwoHundredRequestsCostTheirUniqueTokens) {
  const std::vector<Request> all = batch(200);
  const int64_t unique = unique_tokens(all);
  EXPECT_LE(prefilled(all, {}, 64 << 20), unique * 105 / 100) << "with all the room, in any order";
  std::vector<Request> sorted = all;
  std::sort(sorted.begin(), sorted.end(),
            [](const Request& a, const Request& b) { return a.tokens < b.tokens; });
  EXPECT_LE(prefilled(sorted, {.chunk_rows = 64}, 1 << 20), unique * 105 / 100)
      << "with room for four, those that begin alike after each other";
}

TEST(Sharing, AnotherScopeReadsForItself) {
  std::vector<Request> all = batch(2);
  all[1].tokens = all[0].tokens;
  EXPECT_EQ(prefilled(all, {}, 64 << 20), int64_t(all[0].tokens.size()) + 1);
  all[1].scope = "bob";
  EXPECT_EQ(prefilled(all, {}, 64 << 20), 2 * int64_t(all[0].tokens.size()));
}

// Who reads for others is cancelled, or fails: they read on.
TEST(Sharing, OutlivesWhoRead) {
  std::vector<Request> all = batch(1);
  std::mutex gate;
  std::unique_lock closed(gate);
  auto model = std::make_shared<FakeModel>();
  model->before_pass = [&] { std::lock_guard open(gate); };
  Rig rig({.chunk_rows = 32}, model);
  std::deque<Heard> heard(3);
  const SequenceId first = rig.submit(all[0], heard[0]);
  rig.submit(all[0], heard[1]);
  all[0].tokens.back() = FakeModel::kFails;
  rig.submit(all[0], heard[2]);
  rig.engine->cancel(first);
  closed.unlock();
  heard[0].wait();
  EXPECT_EQ(heard[1].wait(), Finish::length);
  EXPECT_EQ(heard[1].tokens(), expected(batch(1)[0]));
  EXPECT_EQ(heard[2].wait(), Finish::failed);
}

}  // namespace
}  // namespace varve

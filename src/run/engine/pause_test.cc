// Conversations that do not fit beside each other take turns, on the disk in between, and say what they would
// have said alone.
#include <cstring>
#include <deque>

#include "core/io/fault_env.h"
#include "run/engine/rig_test.h"
#include "run/kv/kv_swap.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int64_t kBlock = 4 * kPageTokens * (6 * 4 + 4);  // bytes of 64 tokens of the fake model in f32

class Pauses : public testing::Test {
 protected:
  EngineOptions options(std::string scheduler = "fcfs:slice=8") {
    EngineOptions all{.chunk_rows = 16, .scheduler = std::move(scheduler)};
    all.pauses = {.env = &env, .folder = folder.path(), .disk_bytes = disk_bytes};
    return all;
  }
  // Three blocks each, and room for four of them.
  struct Talk {
    std::vector<Request> requests;
    std::deque<Heard> heard;
  };
  void talk(Rig& rig, Talk& all, int count = 16) {
    std::mutex gate;
    std::unique_lock closed(gate);
    rig.model->before_pass = [&] { std::lock_guard open(gate); };
    for (int i = 0; i < count; ++i) {
      Request request =
          ask(prompt_of(100 + i, uint64_t(i)), 80, {.temperature = i % 2 ? 1.f : 0.f, .seed = 5});
      request.scope = std::to_string(i);
      all.requests.push_back(request);
      all.heard.emplace_back();
    }
    for (int i = 0; i < count; ++i) rig.submit(all.requests[size_t(i)], all.heard[size_t(i)]);
    closed.unlock();
    for (Heard& one : all.heard) one.wait();
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(all.heard[size_t(i)].status().ok()) << all.heard[size_t(i)].status().message();
      EXPECT_EQ(all.heard[size_t(i)].tokens(), expected(all.requests[size_t(i)])) << i;
    }
  }
  int64_t limit(int64_t blocks = 12) {
    if (beside == 0) beside = Rig(options()).ledger.used() + 16 * 1000;  // scratch, and what requests book
    return blocks * kBlock + beside;
  }

  FaultPlan plan;
  FaultEnv env{posix_env(), plan, true};
  TempFolder folder{TempFolder::in_ram()};
  int64_t disk_bytes = 64 << 20, beside = 0;
};

TEST_F(Pauses, SixteenConversationsWithRoomForFourAllEndAndSayWhatTheyWouldAlone) {
  Rig rig(options(), std::make_shared<FakeModel>(), limit());
  Talk all;
  talk(rig, all);
  const EngineStats stats = rig.engine->stats();
  EXPECT_GE(stats.pauses, 16 * (80 / 8 - 2) / 2) << "they take turns";
  EXPECT_EQ(stats.paused + stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.paused_bytes, 0);
  EXPECT_EQ(stats.pause_problem, "");
  EXPECT_LE(rig.ledger.peak(), rig.ledger.limit());
  EXPECT_TRUE(posix_env().list(folder.path()).value().empty()) << "what is on the disk has no name";
  for (const Heard& one : all.heard) EXPECT_GE(one.usage().pauses, 1);
}

// Steps are the clock here: who is served how often until the first of all ends.
TEST_F(Pauses, AreFair) {
  Rig rig(options(), std::make_shared<FakeModel>(), limit());
  std::deque<Heard> heard;
  std::vector<int> said(16), at_first_end;
  std::mutex gate, lock;
  std::unique_lock closed(gate);
  rig.model->before_pass = [&] { std::lock_guard open(gate); };
  for (int i = 0; i < 16; ++i) {
    heard.emplace_back();
    Listener listener = heard.back().listener();
    auto on_finish = listener.on_finish;
    auto on_token = listener.on_token;
    listener.on_token = [&, on_token, i](const Sampled& sampled) {
      std::lock_guard hold(lock);
      ++said[size_t(i)];
      return on_token(sampled);
    };
    listener.on_finish = [&, on_finish](Finish how, Status status, const Usage& usage,
                                        std::vector<float> result) {
      {
        std::lock_guard hold(lock);
        if (at_first_end.empty()) at_first_end = said;
      }
      on_finish(how, std::move(status), usage, std::move(result));
    };
    Request request = ask(prompt_of(100, uint64_t(i)), 80);
    request.scope = std::to_string(i);
    ASSERT_TRUE(rig.engine->submit(request, listener).ok());
  }
  closed.unlock();
  for (Heard& one : heard) one.wait();
  const auto [least, most] = std::minmax_element(at_first_end.begin(), at_first_end.end());
  EXPECT_EQ(*most, 80);
  EXPECT_GE(*least, 40) << "when the first has ended, the others are at least half through";
}

TEST_F(Pauses, ADiskThatIsFullCostsNothingButTheTurns) {
  disk_bytes = kBlock;  // less than one conversation
  Rig rig(options(), std::make_shared<FakeModel>(), limit());
  Talk all;
  talk(rig, all, 8);
  EXPECT_EQ(rig.engine->stats().pauses, 0);
  const std::string why = rig.engine->stats().pause_problem;
  EXPECT_NE(why.find("raise --pause-disk"), std::string::npos) << why;
}

// Any single call of the file system may fail, or all from then on: somebody may have to be computed again,
// nobody fails.
TEST_F(Pauses, WhatTheDiskLosesIsComputedAgain) {
  limit();
  for (int64_t at = 4; at < 200; at += at < 40 ? 3 : 17) {
    plan.heal();
    Rig rig(options(), std::make_shared<FakeModel>(), limit());
    plan.fail_at(at, at % 2 == 0 ? Fault::no_space : Fault::io_error, at % 3 == 0);
    Talk all;
    talk(rig, all, 6);
    EXPECT_EQ(rig.engine->stats().paused_bytes, 0);
    if (testing::Test::HasFailure()) FAIL() << "at call " << at;
  }
}

TEST_F(Pauses, ACancelledOneGivesItsPlaceOnTheDiskBack) {
  Rig rig(options(), std::make_shared<FakeModel>(), limit());
  std::deque<Heard> heard(8);
  std::vector<SequenceId> ids;
  for (int i = 0; i < 8; ++i)
    ids.push_back(rig.submit(ask(prompt_of(100, uint64_t(i)), 90), heard[size_t(i)]));
  while (rig.engine->stats().paused == 0) std::this_thread::yield();
  for (const SequenceId id : ids) rig.engine->cancel(id);
  for (Heard& one : heard) one.wait();
  EXPECT_EQ(rig.engine->stats().paused, 0);
  EXPECT_EQ(rig.engine->stats().paused_bytes, 0);
  EXPECT_TRUE(rig.engine->forget_prefixes().ok());
  EXPECT_EQ(rig.ledger.used(Tag::kv), 0);
}

TEST_F(Pauses, WithAPolicyItKeepsWhatItKept) {
  EngineOptions all = options();
  all.kv = "pack=f32 policy=streaming:sinks=4 budget_tokens=64";
  Rig rig(all, std::make_shared<FakeModel>(), limit(6));
  std::deque<Heard> heard(6);
  std::vector<Request> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(ask(prompt_of(100 + i, uint64_t(i)), 150));
    rig.submit(requests.back(), heard[size_t(i)]);
  }
  for (size_t i = 0; i < 6; ++i) {
    heard[i].wait();
    EXPECT_EQ(heard[i].tokens(), expected(requests[i], 64)) << i;
  }
  EXPECT_GT(rig.engine->stats().pauses, 0);
}

// The slot of another, or a flipped bit: the checksum says so.
TEST(KvSwap, GivesBackWhatItGotOrSaysThatItIsNot) {
  Ledger ledger(1 << 24);
  TempFolder folder{TempFolder::in_ram()};
  auto pool = make_kv_pool(ledger, {2, 2, 8, 8}, {.pack = "f32"}).value();
  auto swap = KvSwap::open(posix_env(), folder.path(), 1 << 20).value();
  const size_t bytes = size_t(pool->layout.bytes());
  std::vector<KvPagePtr> pages = pool->take(8).value();
  for (size_t i = 0; i < 8; ++i) std::memset(pages[i]->at, int(i + 1), bytes);
  auto first = swap->write(std::span(pages).first(5)).value(),
       second = swap->write(std::span(pages).subspan(5)).value();
  EXPECT_EQ(swap->bytes(), int64_t(8 * bytes));
  std::vector<KvPagePtr> back = pool->take(3).value();
  ASSERT_TRUE(swap->read(second, back).ok());
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(std::memcmp(back[i]->at, pages[5 + i]->at, bytes), 0);
  ASSERT_TRUE(swap->read(first, std::span(back).first(2), 3).ok());
  EXPECT_EQ(std::memcmp(back[1]->at, pages[4]->at, bytes), 0);
  KvSwap::Slot wrong = second;
  wrong.at = first.at;
  EXPECT_EQ(swap->read(wrong, back).code(), Code::corrupt);
  wrong = second;
  wrong.sums[1] ^= 1;
  EXPECT_EQ(swap->read(wrong, back).code(), Code::corrupt);

  swap->drop(first);
  auto third = swap->write(std::span(pages).first(4)).value();
  EXPECT_EQ(third.at, 0) << "the gap is used again";
  const Status full = swap->write(std::vector<KvPagePtr>(300, pages[0])).status();
  EXPECT_EQ(full.code(), Code::over_budget);
  ASSERT_TRUE(swap->read(second, back).ok());
  swap->drop(second);
  swap->drop(third);
  EXPECT_EQ(swap->bytes(), 0);
}

}  // namespace
}  // namespace varve

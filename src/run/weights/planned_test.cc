// Weights by a plan: what is pinned is what the file holds, whatever stays, leaves or fails meanwhile.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/io/fault_env.h"
#include "run/weights/stream_plan.h"
#include "run/weights/weight_store.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int32_t kRows = 512, kCols = 512, kMatrices = 12;  // 1 MiB each in f32
constexpr int64_t kMatrix = int64_t(kRows) * kCols * 4;

class PlannedWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = float(i % 977);
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    const auto bytes = std::as_bytes(std::span<const float>(values_));
    writer.add("token_embd.weight", 0, {kCols, kRows}, bytes.subspan(800, size_t(kMatrix)));
    for (int i = 0; i < kMatrices; ++i) {
      writer.add("blk." + std::to_string(i) + ".attn_q.weight", 0, {kCols, kRows},
                 bytes.subspan(size_t(i) * 4, size_t(kMatrix)));
    }
    writer.add("blk.0.ffn_up_exps.weight", 0, {kCols, kRows / 4, 4}, bytes.subspan(400, size_t(kMatrix)));
    writer.add("output.weight", 0, {kCols, kRows}, bytes.subspan(80, size_t(kMatrix)));
    writer.add("output_norm.weight", 0, {kCols}, bytes.first(kCols * 4));
    ASSERT_TRUE(writer.write(posix_env(), path_).ok());
    const auto mapping = posix_env().map(path_).value();
    gguf_ = Gguf::parse(mapping->bytes()).value();
  }
  Result<std::unique_ptr<WeightStore>> open(Env& env) {
    return open_planned_weights(env, path_, *gguf_, ledger_);
  }

  // Goes through a matrix as a product does; the problem, or whether every byte is right.
  Result<bool> right(const WeightStore& store, WeightId id, size_t from, int32_t of_stack = 0,
                     int32_t rows = kRows) {
    for (int32_t first = 0; first < rows;) {
      const WeightPin pin = TRY(store.pin_from(id, first, of_stack));
      const size_t begin = from + size_t(first) * kCols;
      if (std::memcmp((*pin).bytes.data(), values_.data() + begin, (*pin).bytes.size()) != 0) return false;
      first += (*pin).rows;
    }
    return true;
  }
  Result<bool> pass(const WeightStore& store) {
    bool all = true;
    for (int i = 0; i < kMatrices; ++i) all = all && TRY(right(store, WeightId(i + 1), size_t(i)));
    return all && TRY(right(store, store.find("output"), 20));
  }

  TempFolder folder_;
  std::string path_ = folder_ / "w.gguf";
  std::vector<float> values_ = std::vector<float>(size_t(kRows) * kCols + 1024);
  std::optional<Gguf> gguf_;
  Ledger ledger_{int64_t(64) << 20};
};

TEST_F(PlannedWeights, APassReadsWhatDoesNotStayAndNoMore) {
  const auto store = open(posix_env()).value();
  Streaming& streaming = *store->streaming();
  const StreamPlan before = streaming.plan();
  EXPECT_EQ(before.pass_bytes, (kMatrices + 1) * kMatrix);
  EXPECT_EQ(before.by_row_bytes, kMatrix);
  EXPECT_EQ(before.routed_bytes, kMatrix);
  EXPECT_EQ(before.resident_bytes, 0);
  EXPECT_GT(before.tokens_per_second(), 0);

  streaming.keep(6 * kMatrix);
  const StreamPlan plan = streaming.plan();
  EXPECT_GT(plan.resident_bytes, 4 * kMatrix);
  EXPECT_LE(plan.resident_bytes, 6 * kMatrix);
  for (int round = 0; round < 2; ++round) ASSERT_TRUE(pass(*store).value());
  const StreamCounts two = streaming.counts();
  EXPECT_EQ(two.resident_bytes, plan.resident_bytes);
  for (int round = 0; round < 5; ++round) ASSERT_TRUE(pass(*store).value());
  const int64_t five = streaming.counts().read_bytes - two.read_bytes;
  EXPECT_LE(five, 5 * plan.streamed_bytes() + plan.ring_bytes)
      << "only what streams is read, ahead at most a ring";
  EXPECT_GE(five, 5 * plan.streamed_bytes() - plan.ring_bytes);
  EXPECT_LE(ledger_.peak(), ledger_.limit());
}

TEST_F(PlannedWeights, WhatStaysLiesEvenlyOverThePass) {
  const auto store = open(posix_env()).value();
  store->streaming()->keep(7 * kMatrix);
  ASSERT_TRUE(pass(*store).value());
  const StreamPlan plan = store->streaming()->plan();
  ASSERT_EQ(plan.groups.size(), 2u);
  EXPECT_EQ(plan.groups[0].roles, "blk.*.attn_q");
  const double share = double(plan.resident_bytes) / double(plan.pass_bytes);
  EXPECT_NEAR(double(plan.groups[0].resident) / double(plan.groups[0].bytes), share, .1);
}

TEST_F(PlannedWeights, MemoryTakenAndGivenAtAnyMomentChangesNoByte) {
  const auto store = open(posix_env()).value();
  std::atomic<bool> stop = false;
  std::thread others([&] {
    for (uint32_t i = 0; !stop; ++i) {
      store->streaming()->keep(int64_t(i * 7 % 16) * kMatrix);
      auto taken = ledger_.reserve(Tag::kv, int64_t(i % 5) * 8 << 20);  // shrinks what stays
      EXPECT_TRUE(taken.ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (int round = 0; round < 6; ++round) EXPECT_TRUE(pass(*store).value());
  stop = true;
  others.join();
}

TEST_F(PlannedWeights, LessMemoryLeavesAtOnceAndReturnsWithThePasses) {
  const auto store = open(posix_env()).value();
  store->streaming()->keep(kMatrices * kMatrix);
  ASSERT_TRUE(pass(*store).value());
  const int64_t all = store->streaming()->counts().resident_bytes;
  {
    const auto taken = ledger_.reserve(Tag::kv, ledger_.limit() - ledger_.used() + 2 * kMatrix).value();
    EXPECT_LE(store->streaming()->counts().resident_bytes, all - 2 * kMatrix);
    ASSERT_TRUE(pass(*store).value());
  }
  for (int round = 0; round < 2; ++round) ASSERT_TRUE(pass(*store).value());
  EXPECT_EQ(store->streaming()->counts().resident_bytes, all);
}

TEST_F(PlannedWeights, OtherOrdersAndOtherWaysToReadAreRightToo) {
  const auto store = open(posix_env()).value();
  store->streaming()->keep(3 * kMatrix);
  for (int i = kMatrices; i-- > 0;) EXPECT_TRUE(right(*store, WeightId(i + 1), size_t(i)).value());
  const std::vector<WeightId> order{4, 2, 9};
  store->hint(order);
  ASSERT_TRUE(pass(*store).value());
  const WeightId experts = store->find("blk.0.ffn_up_exps");
  for (int32_t one : {2, 0, 3})
    EXPECT_TRUE(right(*store, experts, 100 + size_t(one) * kRows / 4 * kCols, one, kRows / 4).value());
  const WeightPin whole = store->pin(3, 0).value();
  EXPECT_EQ(std::memcmp((*whole).bytes.data(), values_.data() + 2, size_t(kMatrix)), 0);
  const WeightPin rows = store->pin_rows(0, 400, 3).value();
  EXPECT_EQ((*rows).rows, 3);
  EXPECT_EQ(std::memcmp((*rows).bytes.data(), values_.data() + 200 + 400 * kCols, 3 * kCols * 4), 0);
  EXPECT_EQ((*store->pin(store->find("output_norm"), 0).value()).bytes.size(), size_t(kCols) * 4);
}

// Experts as a text uses them: some often, and what was used comes again soon.
std::vector<int32_t> trace_of_experts(int32_t count) {
  std::vector<int32_t> trace;
  uint32_t state = 7;
  const auto draw = [&](uint32_t below) { return (state = state * 1664525 + 1013904223) / 65536 % below; };
  for (int i = 0; i < 4000; ++i) {
    const bool again = i > 8 && draw(100) < 40;
    const uint32_t fresh = draw(uint32_t(count)) * draw(uint32_t(count)) / uint32_t(count);  // the low ones
    trace.push_back(again ? trace[trace.size() - 1 - draw(8)] : int32_t(fresh));
  }
  return trace;
}

int64_t hits_of_lru(const std::vector<int32_t>& trace, size_t room) {
  std::vector<int32_t> kept;  // the newest last
  int64_t hits = 0;
  for (const int32_t one : trace) {
    const auto found = std::find(kept.begin(), kept.end(), one);
    hits += found != kept.end();
    if (found != kept.end()) kept.erase(found);
    kept.push_back(one);
    if (kept.size() > room) kept.erase(kept.begin());
  }
  return hits;
}

class Experts : public PlannedWeights {
 protected:
  static constexpr int32_t kExperts = 32, kOwnRows = 16, kRoom = 8;
  static constexpr int64_t kOne = int64_t(kOwnRows) * kCols * 4;
  void SetUp() override {
    PlannedWeights::SetUp();
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    const auto bytes = std::as_bytes(std::span<const float>(values_));
    writer.add("blk.0.attn_q.weight", 0, {kCols, kRows}, bytes.first(size_t(kMatrix)));
    writer.add("blk.0.ffn_up_exps.weight", 0, {kCols, kOwnRows, kExperts},
               bytes.subspan(400, kExperts * kOne));
    ASSERT_TRUE(writer.write(posix_env(), path_).ok());
    gguf_ = Gguf::parse(posix_env().map(path_).value()->bytes()).value();
    store_ = open(posix_env()).value();
    experts_ = store_->find("blk.0.ffn_up_exps");
    store_->streaming()->keep(kMatrix + kRoom * kOne);
    ASSERT_TRUE(right(*store_, store_->find("blk.0.attn_q"), 0).value());
  }
  bool use(int32_t expert) {
    return right(*store_, experts_, 100 + size_t(expert) * kOwnRows * kCols, expert, kOwnRows).value();
  }
  StreamCounts counts() const { return store_->streaming()->counts(); }

  std::unique_ptr<WeightStore> store_;
  WeightId experts_ = kNoWeight;
};

TEST_F(Experts, ThoseInUseStayAsWellAsWithLru) {
  const std::vector<int32_t> trace = trace_of_experts(kExperts);
  for (const int32_t one : trace) ASSERT_TRUE(use(one));
  EXPECT_EQ(counts().routed, int64_t(trace.size()));
  const double hits = double(counts().routed_there), lru = double(hits_of_lru(trace, kRoom));
  EXPECT_GT(hits, .95 * lru);
  EXPECT_GT(hits, 1.5 * double(trace.size()) * kRoom / kExperts) << "any fixed choice of the same size";
  EXPECT_LE(counts().resident_bytes, kMatrix + kRoom * kOne);
  RecordProperty("hit_rate", std::to_string(hits / double(trace.size())));
  RecordProperty("hit_rate_of_lru", std::to_string(lru / double(trace.size())));
}

TEST_F(Experts, WhatIsExpectedComesBeforeItIsAskedFor) {
  for (int32_t one = 0; one < kRoom; ++one) ASSERT_TRUE(use(one));
  const StreamCounts before = counts();
  const WeightStore::Likely likely[] = {{experts_, 20}, {experts_, 3}};
  store_->expect(likely);
  for (int i = 0; i < 20000 && counts().reads == before.reads; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(use(20) && use(3));
  EXPECT_EQ(counts().routed_there - before.routed_there, 2);
  EXPECT_EQ(counts().routed_foreseen, 1) << "the other one was there";
}

TEST_F(Experts, MemoryTakenAwayTakesThemFirst) {
  for (int32_t one = 0; one < kRoom; ++one) ASSERT_TRUE(use(one));
  EXPECT_EQ(counts().resident_bytes, kMatrix + kRoom * kOne);
  store_->streaming()->keep(kMatrix);
  EXPECT_EQ(counts().resident_bytes, kMatrix);
  store_->expect(std::vector<WeightStore::Likely>{{experts_, 1}});
  EXPECT_TRUE(use(1));
  EXPECT_EQ(counts().resident_bytes, kMatrix) << "there is no room for any";
  store_->streaming()->keep(kMatrix + 2 * kOne);
  for (int32_t one : {5, 6, 7, 5}) EXPECT_TRUE(use(one));
  EXPECT_EQ(counts().resident_bytes, kMatrix + 2 * kOne);
}

TEST_F(PlannedWeights, SeveralAtOnceGetWhatTheyAskFor) {
  const auto store = open(posix_env()).value();
  std::vector<std::thread> all;
  for (int who = 0; who < 3; ++who) {
    all.emplace_back([&] {
      for (int round = 0; round < 3; ++round) EXPECT_TRUE(pass(*store).value());
    });
  }
  for (std::thread& one : all) one.join();
}

TEST_F(PlannedWeights, ManyPinsAtATimeAreRefusedInsteadOfWaitedFor) {
  const auto store = open(posix_env()).value();
  std::vector<WeightPin> pins;
  Status refused;
  for (int i = 0; i < kMatrices && refused.ok(); ++i) {
    for (int32_t first = 0; first < kRows && refused.ok();) {
      auto pin = store->pin_from(WeightId(i + 1), first, 0);
      if (pin.ok())
        first += (**pin).rows, pins.push_back(std::move(*pin));
      else
        refused = std::move(pin).status();
    }
  }
  EXPECT_EQ(refused.code(), Code::over_budget);
  pins.clear();
  EXPECT_TRUE(pass(*store).value());
}

TEST_F(PlannedWeights, AReadThatFailsFailsItsPinAndLaterOnesTryAgain) {
  FaultPlan plan;
  FaultEnv env(posix_env(), plan, true);
  const auto store = open(env).value();
  store->streaming()->keep(4 * kMatrix);
  for (const Fault fault : {Fault::io_error, Fault::short_read}) {
    for (const bool lasting : {false, true}) {
      plan.fail_at(lasting ? 5 : 20, fault, lasting);
      bool failed = false;
      for (int round = 0; round < 3; ++round) {
        const auto passed = pass(*store);
        EXPECT_TRUE(!passed.ok() || *passed);
        failed = failed || !passed.ok();
        EXPECT_TRUE(passed.ok() || passed.code() == (fault == Fault::io_error ? Code::io : Code::corrupt));
      }
      EXPECT_TRUE(failed || !lasting) << "one lost read may have been one ahead, which is tried again";
      plan.heal();
      pass(*store).status().ignore("a read that was under way may still fail");
      const auto healed = pass(*store);
      EXPECT_TRUE(healed.ok() && *healed);
    }
  }
}

TEST_F(PlannedWeights, AFileThatIsCutShortMeanwhileFailsAndOneThatLosesItsNameDoesNot) {
  const auto store = open(posix_env()).value();
  store->streaming()->keep(2 * kMatrix);
  ASSERT_TRUE(pass(*store).value());
  ASSERT_TRUE(posix_env().rename(path_, path_ + ".other").ok());
  ASSERT_TRUE(pass(*store).value());
  auto file = posix_env().open(path_ + ".other", Open::write).value();
  ASSERT_TRUE(file->truncate(5 * kMatrix + 12345).ok());
  for (int round = 0; round < 2; ++round) {
    auto passed = pass(*store);
    ASSERT_FALSE(passed.ok());
    const Status why = std::move(passed).status();
    EXPECT_EQ(why.code(), Code::corrupt);
    EXPECT_NE(why.message().find("cut short while"), why.message().npos) << why.message();
  }
}

TEST_F(PlannedWeights, ABudgetBelowTheFloorIsRefusedWithTheFloor) {
  Ledger small(int64_t(6) << 20, int64_t(30) << 20);
  auto refused = open_planned_weights(posix_env(), path_, *gguf_, small);
  const Status why = std::move(refused).status();
  EXPECT_EQ(why.code(), Code::over_budget);
  EXPECT_NE(why.message().find("raise --budget to 39 MiB"), why.message().npos) << why.message();
  EXPECT_EQ(small.used(), 0);
  auto file = posix_env().open(path_, Open::write).value();
  ASSERT_TRUE(file->truncate(file->size().value() - 64).ok());
  EXPECT_EQ(open(posix_env()).code(), Code::corrupt);
}

TEST_F(PlannedWeights, ScalesThatAreNoNumbersAreStreamedAsTheyAreAndUnknownTypesAreNamed) {
  constexpr uint32_t kQ8 = 8, kIq1 = 19;
  const int64_t bytes = int64_t(kRows) * kCols / 32 * 34;
  std::vector<std::byte> blocks(static_cast<size_t>(bytes), std::byte{0x11});
  constexpr uint16_t kScales[] = {0x7E00, 0x0001, 0xFC00, 0x8001};  // NaN, denormal, -infinity, -denormal
  for (size_t i = 0; i * 34 < blocks.size(); ++i) std::memcpy(&blocks[i * 34], &kScales[i % 4], 2);
  for (const uint32_t type : {kQ8, kIq1}) {
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    const int64_t own = type == kQ8 ? bytes : int64_t(kRows) * kCols / 256 * 50;
    writer.add("blk.0.attn_q.weight", type, {kCols, kRows}, std::span(blocks).first(size_t(own)));
    ASSERT_TRUE(writer.write(posix_env(), path_).ok());
    const auto mapping = posix_env().map(path_).value();
    const Gguf gguf = Gguf::parse(mapping->bytes()).value();
    auto store = open_planned_weights(posix_env(), path_, gguf, ledger_);
    if (type == kIq1) {
      const Status refused = std::move(store).status();
      EXPECT_EQ(refused.code(), Code::unsupported);
      EXPECT_NE(refused.message().find("attn_q.weight is stored as iq1_s"), refused.message().npos)
          << refused.message();
      continue;
    }
    ASSERT_TRUE(store.ok()) << std::move(store).status().text();
    const WeightPin pin = (*store)->pin_from(0, 0).value();
    EXPECT_EQ(std::memcmp((*pin).bytes.data(), blocks.data(), (*pin).bytes.size()), 0);
    EXPECT_GT((*store)->streaming()->plan().tokens_per_second(), 0);
  }
}

}  // namespace
}  // namespace varve

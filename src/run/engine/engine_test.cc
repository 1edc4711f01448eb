#include "run/engine/engine.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <thread>

#include "run/engine/rig_test.h"

namespace varve {
namespace {

constexpr int64_t kBlock = 4 * kPageTokens * (6 * 4 + 4);  // bytes of 64 tokens of the fake model in f32

TEST(Engine, SaysTheSameHoweverThePromptIsCut) {
  const Request request = ask(prompt_of(150, 1), 40, {.temperature = 1, .seed = 7});
  for (int32_t rows : {1, 7, 64, 100, 256}) {
    Rig rig({.chunk_rows = rows});
    EXPECT_EQ(rig.say(request), expected(request)) << rows;
  }
}

TEST(Engine, SaysTheSameAloneAndAmongOthers) {
  Rig rig({.chunk_rows = 32});
  std::vector<Request> requests;
  std::deque<Heard> heard(8);
  for (int i = 0; i < 8; ++i) {
    requests.push_back(ask(prompt_of(20 + 30 * i, i), 30 + i, {.temperature = i % 2 ? 0.f : 1.f, .seed = 3}));
    rig.submit(requests.back(), heard[i]);
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(heard[i].wait(), Finish::length);
    EXPECT_EQ(heard[i].tokens(), expected(requests[i]));
    EXPECT_EQ(heard[i].usage().generated_tokens, 30 + i);
    EXPECT_EQ(heard[i].usage().prompt_tokens, 20 + 30 * i);
  }
}

TEST(Engine, ReusesWhatOthersOfTheScopeLeftAndSaysTheSame) {
  Rig rig;
  Request first = ask(prompt_of(100, 1), 30);
  first.scope = "alice";
  const std::vector<Token> answer = rig.say(first);
  Request second = first;
  second.tokens.insert(second.tokens.end(), answer.begin(), answer.end());
  second.tokens.insert(second.tokens.end(), {1, 2, 3});
  const int64_t before = rig.model->rows_computed;
  Usage usage;
  EXPECT_EQ(rig.say(second, &usage), expected(second));
  EXPECT_EQ(usage.reused_tokens, 129) << "the last token was said and never computed";
  EXPECT_EQ(rig.model->rows_computed - before, 4 + 29);
  EXPECT_EQ(rig.engine->stats().prefill_tokens_saved, 129);

  EXPECT_EQ(rig.say(first, &usage), answer) << "a shorter one again";
  EXPECT_EQ(usage.reused_tokens, 99) << "the last token of a prompt is always computed";
  Request branch = first;
  branch.tokens[70] = 40;
  EXPECT_EQ(rig.say(branch, &usage), expected(branch));
  EXPECT_EQ(usage.reused_tokens, 70);
}

TEST(Engine, ReusesNothingOfAnotherScopeOrAdapter) {
  struct Nothing : Adapter {
    const Delta* on(WeightId) const override { return nullptr; }
  };
  Rig rig;
  Request request = ask(prompt_of(100, 1), 5);
  rig.say(request);
  Usage usage;
  request.scope = "bob";
  rig.say(request, &usage);
  EXPECT_EQ(usage.reused_tokens, 0);
  request.scope = "";
  request.adapter = std::make_shared<Nothing>();
  rig.say(request, &usage);
  EXPECT_EQ(usage.reused_tokens, 0);
  rig.say(request, &usage);
  EXPECT_EQ(usage.reused_tokens, 99);
}

TEST(Engine, ForgetsThePrefixesOfAllAndWhatIsUnderWay) {
  Rig rig;
  Request request = ask(prompt_of(100, 1), 5);
  request.scope = "bob";
  rig.say(request);
  request.scope = "alice";
  rig.say(request);
  EXPECT_EQ(rig.ledger.used(Tag::kv), 4 * kBlock);
  EXPECT_EQ(rig.engine->stats().prefix_bytes, 4 * kBlock);

  Request running = ask(prompt_of(10, 2), 400);
  running.scope = "alice";
  Heard heard;
  heard.stop_at(300);
  rig.submit(running, heard);
  heard.wait_for_tokens(1);
  EXPECT_TRUE(rig.engine->forget_prefixes().ok());
  EXPECT_EQ(heard.wait(), Finish::stop);
  EXPECT_EQ(rig.ledger.used(Tag::kv), 0);
}

TEST(Engine, GivesPrefixesBackWhenOthersNeedTheBytes) {
  Rig rig;
  for (uint64_t i = 0; i < 5; ++i) rig.say(ask(prompt_of(100, i + 1), 5));
  EXPECT_EQ(rig.ledger.used(Tag::kv), 10 * kBlock);
  auto index = rig.ledger.reserve(Tag::index, rig.ledger.limit() - rig.ledger.used() + 3 * kBlock);
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(rig.ledger.used(Tag::kv), 6 * kBlock) << "the two oldest are gone";
  Usage usage;
  rig.say(ask(prompt_of(100, 5), 5), &usage);
  EXPECT_EQ(usage.reused_tokens, 99) << "the newest is still there";
  EXPECT_FALSE(rig.ledger.reserve(Tag::index, rig.ledger.limit()).ok());
  EXPECT_EQ(rig.ledger.used(Tag::kv), 0);
}

TEST(Engine, RefusesAtTheDoorWhatIsWrongAndSaysWhy) {
  Rig rig;
  EXPECT_EQ(rig.refusal(ask({}, 5)).code(), Code::invalid);
  EXPECT_EQ(rig.refusal(ask({64}, 5)).code(), Code::invalid);
  EXPECT_EQ(rig.refusal(ask({-1}, 5)).code(), Code::invalid);
  EXPECT_EQ(rig.refusal(ask({1}, -1)).code(), Code::invalid);
  EXPECT_EQ(rig.refusal(ask({1}, 5, {.temperature = -1})).code(), Code::invalid);
  Status too_long = rig.refusal(ask(prompt_of(513, 1), 5));
  EXPECT_EQ(too_long.code(), Code::invalid);
  EXPECT_NE(too_long.message().find("513"), std::string::npos);
  EXPECT_NE(too_long.message().find("512"), std::string::npos);
}

TEST(Engine, RefusesAtTheDoorWhatCanNeverFit) {
  Rig rig({.chunk_rows = 8}, std::make_shared<FakeModel>(), 3 * kBlock + 4500);
  EXPECT_EQ(rig.engine->context(), 3 * kPageTokens) << "as the budget allows";
  auto weights = rig.ledger.reserve(Tag::weights, kBlock);
  ASSERT_TRUE(weights.ok());
  Status status = rig.refusal(ask(prompt_of(100, 1), 90));
  EXPECT_EQ(status.code(), Code::over_budget);
  EXPECT_NE(status.message().find(std::to_string(3 * kBlock)), std::string::npos) << status.message();
  EXPECT_EQ(rig.say(ask(prompt_of(100, 1), 28)).size(), 28u);
}

TEST(Engine, RefusesToStartOnWhatItDoesNotHave) {
  Ledger ledger(8 << 20);
  auto model = std::make_shared<FakeModel>();
  const auto code = [&](const EngineOptions& options) { return start_engine(model, ledger, options).code(); };
  EXPECT_EQ(code({.context = 513}), Code::invalid);
  EXPECT_EQ(code({.max_sequences = 0}), Code::invalid);
  EXPECT_EQ(code({.chunk_rows = 0}), Code::invalid);
  EXPECT_EQ(code({.kv = "policy=snapkv"}), Code::invalid) << "it needs a budget";
  EXPECT_EQ(code({.scheduler = "lifo"}), Code::not_found);
  Ledger small(6000);
  EXPECT_EQ(start_engine(model, small, {.chunk_rows = 8}).code(), Code::over_budget);
  EXPECT_EQ(start_engine(model, small, {}).code(), Code::over_budget);
  EXPECT_EQ(small.used(), 0);
  EXPECT_EQ(ledger.used(), 0);
}

TEST(Engine, WaitsForWhatDoesNotFitNow) {
  Rig rig({.chunk_rows = 8}, std::make_shared<FakeModel>(), 5 * kBlock + 4500);
  std::vector<Request> requests;
  std::deque<Heard> heard(6);
  for (int i = 0; i < 6; ++i) {
    requests.push_back(ask(prompt_of(100, uint64_t(i)), 60));  // three blocks each
    rig.submit(requests.back(), heard[i]);
  }
  for (int i = 0; i < 6; ++i) {
    heard[i].wait();
    EXPECT_EQ(heard[i].tokens(), expected(requests[i]));
  }
  EXPECT_LE(rig.ledger.peak(), rig.ledger.limit());
}

TEST(Engine, FailsWhatDoesNotFitThoughNothingElseRuns) {
  Rig rig({.chunk_rows = 8}, std::make_shared<FakeModel>(), 5 * kBlock + 4500);
  auto index = rig.ledger.reserve(Tag::index, 3 * kBlock);
  ASSERT_TRUE(index.ok());
  Heard heard;
  rig.submit(ask(prompt_of(100, 1), 60), heard);
  EXPECT_EQ(heard.wait(), Finish::failed);
  EXPECT_EQ(heard.status().code(), Code::over_budget);
}

TEST(Engine, EndsAtTheContext) {
  Rig rig({.context = 128});
  EXPECT_EQ(rig.say(ask(prompt_of(100, 1), 1000)).size(), 28u);
  Heard heard;
  rig.submit(ask(prompt_of(128, 1), 5), heard);
  EXPECT_EQ(heard.wait(), Finish::length);
  EXPECT_TRUE(heard.tokens().empty());
}

TEST(Engine, ComputesAPromptOnly) {
  Rig rig;
  Usage usage;
  EXPECT_TRUE(rig.say(ask(prompt_of(100, 1), 0)).empty());
  const Request request = ask(prompt_of(100, 1), 9);
  EXPECT_EQ(rig.say(request, &usage), expected(request));
  EXPECT_EQ(usage.reused_tokens, 99);
}

TEST(Engine, EmbedsThePromptAsTheMeanOfItsRows) {
  std::vector<float> first;
  for (int32_t rows : {3, 64, 256}) {
    Rig rig({.chunk_rows = rows});
    std::deque<Heard> heard(3);
    Request request = ask(prompt_of(130, 5), 0);
    request.embed = true;
    for (int i = 0; i < 3; ++i) rig.submit(i == 1 ? ask(prompt_of(30, 1), 9) : request, heard[i]);
    for (Heard& one : heard) one.wait();
    ASSERT_EQ(heard[0].result().size(), size_t(FakeModel::kWidth));
    EXPECT_FLOAT_EQ(heard[0].result()[1], 131.f / 2) << "the mean of 1 to 130";
    EXPECT_EQ(heard[0].result(), heard[2].result());
    if (first.empty()) first = heard[0].result();
    EXPECT_EQ(heard[0].result(), first) << "the same bits however it is cut";
    EXPECT_EQ(rig.engine->stats().prefix_bytes, kBlock) << "of the text; an embedding leaves nothing";
  }
}

TEST(Engine, StopsWhereTheListenerOrTheModelSaysSo) {
  const Request request = ask(prompt_of(50, 1), 40);
  const std::vector<Token> whole = expected(request);
  {
    Rig rig;
    Heard heard;
    heard.stop_at(7);
    rig.submit(request, heard);
    EXPECT_EQ(heard.wait(), Finish::stop);
    EXPECT_EQ(heard.tokens(), std::vector<Token>(whole.begin(), whole.begin() + 7));
  }
  const Token end = whole[20];
  const auto at = std::find(whole.begin(), whole.end(), end);
  Rig rig({}, std::make_shared<FakeModel>(std::vector<Token>{end}));
  EXPECT_EQ(rig.say(request), std::vector<Token>(whole.begin(), at));
  Request on = request;
  on.ignore_end = true;
  EXPECT_EQ(rig.say(on), whole);
}

TEST(Engine, AFailedPassFailsOnlyThoseThatCannotBeComputed) {
  Rig rig({.chunk_rows = 64});
  std::vector<Request> requests;
  std::deque<Heard> heard(5);
  for (int i = 0; i < 5; ++i) {
    requests.push_back(ask(prompt_of(40 + 10 * i, uint64_t(i)), 30));
    if (i == 2) requests[i].tokens[45] = FakeModel::kFails;
    rig.submit(requests[i], heard[i]);
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(heard[i].wait(), i == 2 ? Finish::failed : Finish::length);
    if (i == 2) {
      EXPECT_EQ(heard[i].status().code(), Code::io);
    } else {
      EXPECT_EQ(heard[i].tokens(), expected(requests[i])) << i;
    }
  }
}

TEST(Engine, LogitsThatAreNoNumbersFailTheSequence) {
  Rig rig;
  Heard heard;
  rig.submit(ask({1, 2, FakeModel::kNotANumber}, 5), heard);
  EXPECT_EQ(heard.wait(), Finish::failed);
  EXPECT_EQ(heard.status().code(), Code::corrupt);
}

// Allows one token: the last one plus one, up to a last; then the text is complete.
class Counting : public Grammar {
 public:
  Counting(Token first, Token last, bool ending) : first_(first), last_(last), ending_(ending) {}
  std::unique_ptr<Constraint> start() const override {
    class State : public Constraint {
     public:
      State(Token next, Token last, bool ending) : next_(next), last_(last), ending_(ending) {}
      bool mask(std::span<float> logits) const override {
        if (next_ > last_) return false;
        for (size_t i = 0; i < logits.size(); ++i) {
          if (Token(i) != next_) logits[i] = -std::numeric_limits<float>::infinity();
        }
        return true;
      }
      Status accept(Token token) override {
        if (token != next_) return Status(Code::invalid, "forbidden");
        ++next_;
        return {};
      }
      bool complete() const override { return ending_ && next_ > last_; }

     private:
      Token next_, last_;
      bool ending_;
    };
    return std::make_unique<State>(first_, last_, ending_);
  }

 private:
  Token first_, last_;
  bool ending_;
};

TEST(Engine, SaysWhatTheGrammarAllows) {
  Rig rig;
  Request request = ask(prompt_of(50, 1), 40, {.temperature = 1});
  request.grammar = std::make_shared<Counting>(5, 9, true);
  Heard whole, stuck;
  rig.submit(request, whole);
  EXPECT_EQ(whole.wait(), Finish::stop);
  EXPECT_EQ(whole.tokens(), (std::vector<Token>{5, 6, 7, 8, 9}));
  request.grammar = std::make_shared<Counting>(5, 6, false);
  rig.submit(request, stuck);
  EXPECT_EQ(stuck.wait(), Finish::failed);
  EXPECT_EQ(stuck.status().code(), Code::invalid);
}

TEST(Engine, CancelsWhatRunsAndWhatWaits) {
  Rig rig({.max_sequences = 1});
  Heard running, waiting;
  const SequenceId first = rig.submit(ask(prompt_of(10, 1), 500), running);
  const SequenceId second = rig.submit(ask(prompt_of(10, 1), 500), waiting);
  running.wait_for_tokens(3);
  rig.engine->cancel(second);
  EXPECT_EQ(waiting.wait(), Finish::cancelled);
  rig.engine->cancel(first);
  running.wait();
  rig.engine->cancel(first);
  rig.engine->cancel(999);
  Usage usage;
  rig.say(ask(prompt_of(10, 1), 2), &usage);
  EXPECT_EQ(usage.reused_tokens, 9) << "what a cancelled sequence computed is kept";
  EXPECT_EQ(running.finished(), 1);
  EXPECT_EQ(rig.engine->stats().running + rig.engine->stats().waiting, 0);
}

TEST(Engine, RefusesWhatWouldWaitBehindTooMuch) {
  for (const int32_t length : {1, 2000}) {
    std::mutex gate;
    std::unique_lock closed(gate);
    auto model = std::make_shared<FakeModel>(std::vector<Token>{}, 2048);
    model->before_pass = [&] { std::lock_guard open(gate); };
    Rig rig({.max_sequences = 1}, model);
    const Request request = ask(prompt_of(length, 1), 1);
    const int32_t most = length == 1 ? kMostWaiting : int32_t(kMostTokensWaiting) / length;
    std::deque<Heard> heard(size_t(most) + 2);
    rig.submit(request, heard[0]);
    while (rig.engine->stats().running == 0) std::this_thread::yield();
    std::vector<SequenceId> ids;
    for (int32_t i = 1; i <= most; ++i) ids.push_back(rig.submit(request, heard[size_t(i)]));
    const Status refused = rig.refusal(request);
    EXPECT_EQ(refused.code(), Code::over_budget);
    EXPECT_NE(refused.message().find(std::to_string(most) + " requests"), std::string::npos);
    for (const SequenceId id : ids) rig.engine->cancel(id);
    closed.unlock();
    for (int32_t i = 1; i <= most; ++i) EXPECT_EQ(heard[size_t(i)].wait(), Finish::cancelled);
    rig.submit(request, heard.back());
    EXPECT_EQ(heard.back().wait(), Finish::length);
    EXPECT_EQ(rig.engine->stats().tokens_waiting, 0);
  }
}

TEST(Engine, AListenerMayCancelItsOwnSequence) {
  Rig rig;
  Heard heard;
  Listener listener = heard.listener();
  std::atomic<SequenceId> id = 0;
  auto on_token = listener.on_token;
  listener.on_token = [&](const Sampled& sampled) {
    while (id == 0) std::this_thread::yield();
    rig.engine->cancel(id);
    return on_token(sampled);
  };
  auto submitted = rig.engine->submit(ask(prompt_of(10, 1), 100), listener);
  ASSERT_TRUE(submitted.ok());
  id = *submitted;
  EXPECT_EQ(heard.wait(), Finish::cancelled);
  EXPECT_EQ(heard.tokens().size(), 1u);
}

TEST(Engine, EndsEverythingWhenItIsDestroyed) {
  std::deque<Heard> heard(6);
  Rig rig({.max_sequences = 2});
  for (Heard& one : heard) rig.submit(ask(prompt_of(10, 1), 500), one);
  heard[0].wait_for_tokens(2);
  rig.engine.reset();
  for (Heard& one : heard) EXPECT_EQ(one.finished(), 1);
  EXPECT_EQ(heard[5].wait(), Finish::cancelled);
  EXPECT_EQ(rig.ledger.used(), 0);
}

TEST(Engine, APolicyKeepsTheSameWhateverRunsBeside) {
  const std::string kv = "pack=f32 policy=streaming:sinks=4 budget_tokens=100";
  std::vector<Request> requests;
  for (int i = 0; i < 5; ++i) requests.push_back(ask(prompt_of(50 + 70 * i, uint64_t(i)), 90));
  for (int32_t rows : {5, 64, 256}) {
    Rig rig({.chunk_rows = rows, .kv = kv});
    std::deque<Heard> heard(5);
    for (int i = 0; i < 5; ++i) rig.submit(requests[i], heard[i]);
    for (int i = 0; i < 5; ++i) {
      heard[i].wait();
      EXPECT_EQ(heard[i].tokens(), expected(requests[i], 100)) << i << " with " << rows;
    }
    Usage usage;
    EXPECT_EQ(rig.say(requests[0], &usage), expected(requests[0], 100)) << "half of it reused or not";
    EXPECT_EQ(rig.say(requests[4], &usage), expected(requests[4], 100));
    EXPECT_EQ(usage.reused_tokens, 0) << "a sequence that dropped tokens leaves no prefix";
  }
}

// Whatever is submitted, cancelled, forgotten or taken away from several threads: each sequence finishes
// once, what is said to the end is right, and every byte is accounted for.
TEST(Engine, SurvivesAnyOrderOfEvents) {
  Rig rig({.max_sequences = 4, .chunk_rows = 24}, std::make_shared<FakeModel>(), 9 * kBlock + 4500);
  constexpr int kThreads = 3, kEach = 60;
  std::deque<Heard> heard(kThreads * kEach);
  std::vector<std::vector<Request>> requests(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random{unsigned(t)};
      std::vector<SequenceId> ids;
      for (int i = 0; i < kEach; ++i) {
        Request request = ask(prompt_of(1 + int32_t(random() % 200), random() % 4), int32_t(random() % 40));
        request.scope = random() % 2 ? "a" : "b";
        request.priority = int32_t(random() % 3);
        request.embed = random() % 8 == 0;
        requests[t].push_back(request);
        ids.push_back(rig.submit(request, heard[t * kEach + i]));
        if (random() % 3 == 0) rig.engine->cancel(ids[random() % ids.size()]);
        if (random() % 9 == 0) rig.engine->forget_prefixes().ignore("there is no disk");
        if (random() % 9 == 0) {
          auto taken = rig.ledger.reserve(Tag::index, int64_t(random() % 4) * kBlock);
          EXPECT_LE(rig.engine->stats().kv_bytes, rig.ledger.limit());
        }
        if (random() % 4 == 0) heard[t * kEach + random() % (i + 1)].wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int whole = 0;
  for (int i = 0; i < kThreads * kEach; ++i) {
    const Request& request = requests[i / kEach][i % kEach];
    const Finish how = heard[i].wait();
    EXPECT_TRUE(how != Finish::failed || heard[i].status().code() == Code::over_budget);
    if (how != Finish::length) continue;
    ++whole;
    ASSERT_EQ(heard[i].tokens(), expected(request)) << i;
  }
  EXPECT_GT(whole, kThreads * kEach / 4);
  EXPECT_EQ(rig.engine->stats().running + rig.engine->stats().waiting, 0);
  EXPECT_EQ(rig.ledger.used(Tag::kv), rig.engine->stats().prefix_bytes);
  EXPECT_TRUE(rig.engine->forget_prefixes().ok());
  EXPECT_EQ(rig.ledger.used(Tag::kv), 0);
  EXPECT_LE(rig.ledger.peak(), rig.ledger.limit());
  rig.engine.reset();
  EXPECT_EQ(rig.ledger.used(), 0);
  for (Heard& one : heard) EXPECT_EQ(one.finished(), 1);
}

}  // namespace
}  // namespace varve

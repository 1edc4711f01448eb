// What engines give beside text - hidden states, scores - and what a request takes while it lasts.
#include <cmath>
#include <deque>

#include "run/engine/rig_test.h"

namespace varve {
namespace {

TEST(Engine, PoolsHiddenStatesOfALayerHoweverThePromptIsCut) {
  const std::vector<Token> prompt = prompt_of(90, 3);
  Seen seen;
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < prompt.size(); ++i) {
    seen.emplace_back(prompt[i], int32_t(i));
    rows.push_back(FakeModel::hidden_of(seen, 1));
  }
  for (int32_t chunk : {7, 64, 256}) {
    Rig rig({.chunk_rows = chunk});
    for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::weighted}) {
      Request request = ask(prompt, 0);
      request.embed = true;
      request.pooling = pooling;
      request.pool_from = 10;
      request.layer = 1;
      Heard heard, beside;
      rig.submit(request, heard);
      request.layer = 0;
      rig.submit(request, beside);
      heard.wait();
      double sum = 0, weights = 0;
      for (size_t i = pooling == Pooling::last ? 89 : 10; i < 90; ++i) {
        const double weight = pooling == Pooling::weighted ? double(i) - 9 : 1;
        sum += weight * rows[i][0];
        weights += weight;
      }
      ASSERT_EQ(heard.result().size(), size_t(FakeModel::kWidth));
      EXPECT_FLOAT_EQ(heard.result()[0], float(sum / weights));
      EXPECT_FLOAT_EQ(heard.result()[2], rows[0][2]) << "of layer 1";
      beside.wait();
      EXPECT_FLOAT_EQ(beside.result()[2], rows[0][2] - 1);
    }
  }
}

TEST(Engine, ScoresThePromptsTokensHoweverItIsCutAndBatched) {
  const int32_t from = 40;
  std::vector<std::vector<Token>> prompts;
  for (uint64_t i = 0; i < 6; ++i) prompts.push_back(prompt_of(60 + 5 * int32_t(i), i));
  for (int32_t chunk : {7, 64, 256}) {
    Rig rig({.max_sequences = 4, .chunk_rows = chunk});
    Usage usage;
    rig.say(ask({prompts[0].begin(), prompts[0].begin() + 30}, 0), &usage);  // leaves a prefix
    std::deque<Heard> heard(6);
    for (size_t i = 0; i < 6; ++i) {
      Request request = ask(prompts[i], 5);
      request.score_from = from;
      rig.submit(request, heard[i]);
    }
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(heard[i].wait(), Finish::stop);
      ASSERT_EQ(heard[i].result().size(), prompts[i].size() - size_t(from));
      EXPECT_EQ(heard[i].usage().reused_tokens, i == 0 ? 30 : 0);
      Seen seen;
      for (size_t at = 0; at + 1 < prompts[i].size(); ++at) {
        seen.emplace_back(prompts[i][at], int32_t(at));
        if (at + 1 < size_t(from)) continue;
        const std::vector<float> logits = FakeModel::head_of(FakeModel::hidden_of(seen, 0));
        double sum = 0;
        for (float logit : logits) sum += std::exp(double(logit));
        const double expected = double(logits[size_t(prompts[i][at + 1])]) - std::log(sum);
        EXPECT_NEAR(heard[i].result()[at + 1 - size_t(from)], expected, 1e-5);
      }
    }
    EXPECT_EQ(rig.ledger.used(Tag::kv), rig.engine->stats().prefix_bytes);
  }
}

TEST(Engine, RefusesToReadOutWhatIsNotThere) {
  Rig rig;
  Request request = ask(prompt_of(10, 1), 0);
  request.score_from = 10;
  EXPECT_EQ(rig.refusal(request).code(), Code::invalid);
  request.score_from = 0;
  request.embed = true;
  request.layer = 3;
  EXPECT_EQ(rig.refusal(request).code(), Code::invalid);
  request.layer = 0;
  request.pool_from = 10;
  EXPECT_EQ(rig.refusal(request).code(), Code::invalid);
}

TEST(Engine, BooksWhatARequestBringsUntilItEnds) {
  std::mutex gate;
  std::unique_lock closed(gate);
  auto model = std::make_shared<FakeModel>();
  model->before_pass = [&] { std::lock_guard open(gate); };
  Rig rig({.max_sequences = 1}, model);
  Request request = ask(prompt_of(100, 1), 28);
  for (Token token = 0; token < 10; ++token) request.sampling.logit_bias[token] = 1;
  Heard running, waiting;
  const int64_t each = 128 * 4 + 10 * 64;
  rig.submit(request, running);
  EXPECT_EQ(rig.ledger.used(Tag::io), each);
  rig.submit(request, waiting);
  EXPECT_EQ(rig.ledger.used(Tag::io), 2 * each);
  auto rest = rig.ledger.reserve(Tag::index, rig.ledger.limit() - rig.ledger.used());
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rig.refusal(request).code(), Code::over_budget);
  *rest = {};
  closed.unlock();
  running.wait();
  waiting.wait();
  rig.engine.reset();
  EXPECT_EQ(rig.ledger.used(), 0);
}

}  // namespace
}  // namespace varve

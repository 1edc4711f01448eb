// A real model, small enough for every test run, through the engine: the same text as the reference's greedy
// one, and the same bits alone, among others, from a shared prefix, whole or cut to pieces.
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <fstream>
#include <iterator>

#include "core/io/env.h"
#include "run/engine/head_profile.h"
#include "run/engine/heard_test.h"
#include "run/kv/policy/gate_file_test.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

constexpr const char* kFolder = "data/models/tinyllamas/";
constexpr const char* kPrompt = "Once upon a time";

// The file: one line that says how it was made, an empty one, the text.
std::string reference_text() {
  std::ifstream file(shared_path(kFolder) + "greedy.txt");
  std::string head;
  std::getline(file, head);
  std::getline(file, head);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.find(kPrompt));
}

class StoryTeller : public testing::Test {
 protected:
  void SetUp() override {
    NEED_SHARED(kFolder);
    auto opened = open_model(posix_env(), shared_path(kFolder) + "stories260K.gguf", ledger_);
    CHECK(opened.ok(), "model");
    model_ = *opened;
  }
  std::unique_ptr<Engine> start(EngineOptions options = {}) {
    options.threads = 2;
    auto started = start_engine(model_, ledger_, options);
    CHECK(started.ok(), "engine");
    return std::move(*started);
  }
  Request story(const char* prompt = kPrompt, SamplingOptions sampling = greedy()) const {
    sampling.logprobs = 3;
    return ask(tokenize_prompt(*model_->tokenizer(), prompt), 120, std::move(sampling));
  }
  // A gate is a file for one model; this one is as good as any.
  std::string policy(const std::string& name) const {
    if (name != "gate") return name;
    const ModelShape& shape = model_->shape();
    return "gate:file=" + GateFile{.layers = shape.layers,
                                   .heads = shape.kv.kv_heads,
                                   .width = shape.width,
                                   .model = model_->fingerprint()}
                              .write();
  }
  std::string text_of(const std::vector<Token>& tokens) const {
    std::string text;
    for (Token token : tokens) model_->tokenizer()->decode(token, false, text);
    return text;
  }

  Ledger ledger_{64 << 20};
  std::shared_ptr<const Model> model_;
};

struct Said {  // tokens and what the model thought of them: equal bits mean equal logits, as good as
  std::vector<Token> tokens;
  std::vector<float> logprobs;
  bool operator==(const Said&) const = default;
};

Said say(Engine& engine, const Request& request, Usage* usage = nullptr) {
  Said said;
  Heard heard;
  Listener listener = heard.listener();
  listener.on_token = [&](const Sampled& sampled) {
    said.tokens.push_back(sampled.token);
    said.logprobs.push_back(sampled.logprob);
    for (auto [token, logprob] : sampled.best) said.logprobs.push_back(logprob);
    return true;
  };
  CHECK(engine.submit(request, listener).ok(), "submit");
  heard.wait();
  CHECK(heard.status().ok(), "failed");
  if (usage != nullptr) *usage = heard.usage();
  return said;
}

TEST_F(StoryTeller, TellsTheReferenceStory) {
  const std::string reference = reference_text();
  for (const char* kv : {"pack=f16", "pack=f32"}) {
    for (auto precision : {Ops::Precision::exact, Ops::Precision::fast}) {
      auto engine = start({.kv = kv, .precision = precision});
      EXPECT_EQ(kPrompt + text_of(say(*engine, story()).tokens), reference) << kv;
    }
  }
}

TEST_F(StoryTeller, SaysTheSameBitsAloneAmongOthersInChunksAndFromAPrefix) {
  const char* prompts[] = {kPrompt, "Lily and Tom", "The dog",
                           "One day, a big bear met a small fox in the wood"};
  std::vector<Request> requests;
  std::vector<Said> alone;
  for (int i = 0; i < 8; ++i) {
    requests.push_back(story(prompts[i % 4], {.temperature = i < 4 ? 0.f : 0.9f, .seed = uint64_t(i)}));
    alone.push_back(say(*start(), requests.back()));
  }
  for (int32_t rows : {3, 256}) {
    auto engine = start({.chunk_rows = rows});
    for (const bool again : {false, true}) {
      std::deque<Heard> heard(8);
      for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(engine->submit(requests[i], heard[i].listener()).ok());
      }
      for (int i = 0; i < 8; ++i) {
        heard[i].wait();
        EXPECT_EQ(heard[i].tokens(), alone[i].tokens) << i << " in steps of " << rows;
      }
      EXPECT_GE(engine->stats().prefill_tokens_saved, again ? 20 : 0);
    }
    for (int i = 0; i < 8; ++i) {
      Usage usage;
      EXPECT_EQ(say(*engine, requests[i], &usage), alone[i]) << "bit by bit";
      EXPECT_EQ(usage.reused_tokens, usage.prompt_tokens - 1);
    }
  }
}

TEST_F(StoryTeller, GoesOnFromItsOwnWordsAsIfItHadReadThem) {
  const Request whole = story();
  const Said told = say(*start(), whole);
  Request next = whole;
  next.tokens.insert(next.tokens.end(), told.tokens.begin(), told.tokens.begin() + 77);
  next.max_tokens = 120 - 77;
  auto engine = start();
  say(*engine, whole);
  Usage usage;
  const Said rest = say(*engine, next, &usage);
  EXPECT_EQ(rest.tokens, std::vector<Token>(told.tokens.begin() + 77, told.tokens.end()));
  EXPECT_EQ(rest.logprobs, std::vector<float>(told.logprobs.begin() + 77 * 4, told.logprobs.end()));
  EXPECT_EQ(usage.reused_tokens, usage.prompt_tokens - 1);
}

// Marks are letters that stories are full of. After each pruning the story goes on, bit by bit, as one that
// begins with what is left.
TEST_F(StoryTeller, GoesOnAfterASubtaskAsIfItHadReadTheRestAlone) {
  const SubtaskMarks marks{.open = "e", .result = "s", .close = "a", .head = 0, .ask = 0};
  for (const char* kv : {"pack=f16", "pack=f32"}) {
    const EngineOptions options{.kv = kv, .precision = Ops::Precision::exact};
    Request request = story();
    request.subtasks = marks;
    request.max_tokens = 300, request.ignore_end = true;
    Usage usage;
    const Said said = say(*start(options), request, &usage);
    ASSERT_GT(usage.pruned_tokens, 20) << kv;
    std::vector<Token> left = request.tokens;
    Subtasks read(marks);
    size_t checked = 0;
    for (size_t i = 0; i < said.tokens.size(); ++i) {
      left.push_back(said.tokens[i]);
      std::string text;
      model_->tokenizer()->decode(said.tokens[i], true, text);
      read.hear(int32_t(left.size()) - 1, text);
      const auto gone = read.next(false);
      if (!gone) continue;
      left.erase(left.begin() + gone->first, left.begin() + gone->end);
      if (checked++ >= 3 || i + 1 == said.tokens.size()) continue;
      Request fresh = story();
      fresh.tokens = left, fresh.max_tokens = 1, fresh.ignore_end = true;
      const Said next = say(*start(options), fresh);
      EXPECT_EQ(next.tokens[0], said.tokens[i + 1]) << kv << " after " << i;
      EXPECT_EQ(next.logprobs[0], said.logprobs[(i + 1) * 4]) << kv << " after " << i;
    }
    EXPECT_GE(checked, 3u) << kv;
    EXPECT_EQ(usage.pruned_tokens, int32_t(request.tokens.size() + 300 - left.size())) << kv;
  }
}

TEST_F(StoryTeller, ForgetsTheMiddleUnderABudgetOfTokens) {
  const std::string kv = "policy=streaming:sinks=4,window=60";
  const Said said = say(*start({.kv = kv}), story());
  const std::string whole = reference_text();
  const std::string told = kPrompt + text_of(said.tokens);
  EXPECT_EQ(told.substr(0, 100), whole.substr(0, 100)) << "nothing is dropped yet";
  auto engine = start({.chunk_rows = 5, .kv = kv});
  EXPECT_EQ(say(*engine, story()), said);
  EXPECT_LE(engine->stats().kv_bytes, kv_bytes_for(model_->shape().kv, *parse_kv_recipe(kv), 1000));
}

TEST_F(StoryTeller, EveryPolicyTellsTheSameHoweverStepsAreCutAndStaysInsideItsBytes) {
  std::vector<std::string> recipes;
  for (const std::string& name : kv_policies().names()) recipes.push_back("policy=" + policy(name));
  for (const char* allot : {"pyramid", "prefixkv", "ada", "d2o"})
    recipes.push_back("policy=snapkv allot=" + std::string(allot));
  recipes.push_back("policy=" + policy("gate") + " allot=gate");
  for (const std::string& recipe : recipes) {
    const std::string kv = recipe + " budget_tokens=48";
    Usage usage;
    const Said said = say(*start({.kv = kv}), story(), &usage);
    EXPECT_GT(usage.kv.dropped + usage.kv.merged, 0) << kv;
    auto engine = start({.chunk_rows = 5, .kv = kv});
    EXPECT_EQ(say(*engine, story()), said) << kv;
    EXPECT_LE(engine->stats().kv_bytes, kv_bytes_for(model_->shape().kv, *parse_kv_recipe(kv), 1000)) << kv;
  }
}

TEST_F(StoryTeller, ABudgetThatIsNeverReachedChangesNoBit) {
  const Said whole = say(*start(), story());
  for (const std::string& name : kv_policies().names())
    EXPECT_EQ(say(*start({.kv = "policy=" + policy(name) + " budget_tokens=4096"}), story()), whole) << name;
}

TEST_F(StoryTeller, AFileOfItsHeadsSplitsThem) {
  ThreadPool pool(1);
  Ops ops(pool);
  std::vector<Token> text;
  for (Token i = 0; i < 150; ++i) text.push_back(3 + i * i % 500);
  auto profile = profile_heads(*model_, ops, ledger_, text, {.random_tokens = 40, .window = 32});
  ASSERT_TRUE(profile.ok());
  const KvShape& shape = model_->shape().kv;
  ASSERT_EQ(profile->lanes.size(), size_t(shape.layers * shape.kv_heads));
  for (const HeadProfile::Head& head : profile->lanes) {
    EXPECT_TRUE(head.recall > 0 && head.recall < 1.01f) << head.recall;
    EXPECT_TRUE(head.far > 0 && head.far < 1.01f) << head.far;
  }
  const std::string path = testing::TempDir() + "varve_heads_" + std::to_string(getpid());
  const auto keep = [&](const HeadProfile& of) {
    const std::string words = to_text(of);
    EXPECT_TRUE(write_file(posix_env(), path, std::as_bytes(std::span(words))).ok());
  };
  keep(*profile);
  const std::string kv = "policy=razor budget_tokens=48 allot=heads:window=16,file=" + path;
  Usage usage;
  const Said said = say(*start({.kv = kv}), story(), &usage);
  EXPECT_GT(usage.kv.merged, 0);
  EXPECT_EQ(say(*start({.chunk_rows = 5, .kv = kv}), story()), said);
  ++profile->layers;
  profile->lanes.resize(profile->lanes.size() + size_t(profile->heads));
  keep(*profile);
  EXPECT_EQ(start_engine(model_, ledger_, {.kv = kv}).code(), Code::invalid) << "of another model";
}

TEST_F(StoryTeller, EveryByteIsGivenBack) {
  const int64_t weights = ledger_.used();
  {
    auto engine = start();
    say(*engine, story());
    EXPECT_EQ(ledger_.used(Tag::kv), engine->stats().prefix_bytes);
    EXPECT_GT(ledger_.used(Tag::kv), 0);
  }
  EXPECT_EQ(ledger_.used(), weights);
}

// Trained for 512 tokens, it reads 3,000: what is read stays within that, side by side, so the last words are
// as little surprising as the first.
TEST_F(StoryTeller, ReadsOnBeyondWhatItWasTrainedFor) {
  std::string text;
  for (int i = 0; i < 25; ++i) text += reference_text() + "\n";
  std::vector<Token> tokens = tokenize_prompt(*model_->tokenizer(), text);
  ASSERT_GT(tokens.size(), 3000u);
  tokens.resize(3000);
  for (const char* kv :
       {"policy=streaming:sinks=4 budget_tokens=192", "select=box:pages=1,window=1,sinks=1,prompts=1"}) {
    auto engine = start({.context = 4096, .chunk_rows = 64, .kv = kv});
    Request request = ask(tokens, 0);
    request.score_from = 1;
    Heard heard;
    ASSERT_TRUE(engine->submit(std::move(request), heard.listener()).ok()) << kv;
    heard.wait();
    ASSERT_EQ(heard.result().size(), tokens.size() - 1) << kv;
    const auto nats = [&](size_t from, size_t to) {
      double sum = 0;
      for (size_t i = from; i < to; ++i) sum -= double(heard.result()[i]);
      return sum / double(to - from);
    };
    const double within = nats(256, 512), beyond = nats(2400, 2999);
    EXPECT_LT(beyond, within + 0.35) << kv << ": " << within << " and " << beyond;
  }
  EXPECT_EQ(start_engine(model_, ledger_, {.context = 4096}).code(), Code::invalid);
  EXPECT_EQ(start_engine(model_, ledger_, {.context = 4096, .kv = "select=box:pages=1"}).code(),
            Code::invalid);
}

}  // namespace
}  // namespace varve

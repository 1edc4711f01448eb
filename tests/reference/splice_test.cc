// State that was computed elsewhere, at another place: exact where nothing else could be said, and the nearer
// to reading the more of it is read again.
#include <cmath>
#include <deque>

#include "run/engine/heard_test.h"
#include "run/engine/prefix_store.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

struct Small {
  explicit Small(int32_t layers, std::string kv = "pack=f32") {
    const std::string path = folder.path() + "/model.gguf";
    CHECK(write_tiny_model(posix_env(), path, {.layers = layers}).ok(), "a tiny model");
    model = open_model(posix_env(), path, ledger).value();
    engine = start_engine(model, ledger,
                          {.chunk_rows = 32, .kv = kv, .precision = Ops::Precision::exact, .threads = 1})
                 .value();
  }
  // The log-probabilities of the last tokens.
  std::vector<float> scores(const std::vector<Token>& tokens, int32_t last, std::vector<Splice> splices = {},
                            Usage* usage = nullptr) {
    Request request;
    request.tokens = tokens;
    request.score_from = int32_t(tokens.size()) - last;
    request.splices = std::move(splices);
    request.scope = std::to_string(++scopes);  // nothing is found computed
    Heard heard;
    CHECK(engine->submit(request, heard.listener()).ok(), "submit");
    heard.wait();
    EXPECT_TRUE(heard.status().ok()) << heard.status().message();
    if (usage != nullptr) *usage = heard.usage();
    return heard.result();
  }
  KvSnapshot state(const std::vector<Token>& tokens) {
    Request request = ask(tokens, 0);
    request.scope = "chunks";
    Heard heard;
    CHECK(engine->submit(request, heard.listener()).ok(), "submit");
    heard.wait();
    return engine->prefixes()->longest({"chunks", nullptr}, tokens).kv;
  }

  TempFolder folder{TempFolder::in_ram()};
  Ledger ledger{int64_t(1) << 30};
  std::shared_ptr<const Model> model;
  std::unique_ptr<Engine> engine;
  int scopes = 0;
};

std::vector<Token> words(int32_t count, uint64_t seed) {
  std::vector<Token> tokens;
  for (int32_t i = 0; i < count; ++i) tokens.push_back(Token(97 + (mix(seed, uint64_t(i)) >> 20) % 26));
  return tokens;
}
std::vector<Token> joined(std::initializer_list<std::vector<Token>> all) {
  std::vector<Token> tokens;
  for (const auto& one : all) tokens.insert(tokens.end(), one.begin(), one.end());
  return tokens;
}
double off(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(double(a[i] - b[i])));
  return a.size() == b.size() ? most : 1e9;
}

TEST(Splice, AtItsOwnPlaceIsExact) {
  Small small(2);
  const auto before = words(70, 1), chunk = words(150, 2), after = words(20, 3);
  const auto tokens = joined({before, chunk, after});
  const KvSnapshot kv = small.state(joined({before, chunk}));
  Usage usage;
  EXPECT_EQ(small.scores(tokens, 10, {{.at = 70, .first = 70, .count = 150, .kv = kv}}, &usage),
            small.scores(tokens, 10));
  EXPECT_EQ(usage.spliced_tokens, 150);
}

// Keys and values of a first layer depend on nothing but the token: what moves is its place alone.
TEST(Splice, OfOneLayerIsThatOfReadingAtAnyPlace) {
  Small small(1);
  const auto chunk = words(90, 2), after = words(20, 3);
  const KvSnapshot kv = small.state(joined({words(11, 7), chunk}));
  for (int32_t at : {1, 11, 64, 300}) {
    const auto tokens = joined({words(at, 1), chunk, after});
    const double error = off(small.scores(tokens, 10, {{.at = at, .first = 11, .count = 90, .kv = kv}}),
                             small.scores(tokens, 10));
    EXPECT_LT(error, 2e-4) << at;
  }
}

TEST(Splice, TheMoreOfItIsReadAgainTheNearerToReading) {
  Small small(3);
  const auto one = words(80, 2), other = words(64, 4), after = words(20, 3), before = words(40, 1);
  const KvSnapshot first = small.state(one), second = small.state(other);
  const auto tokens = joined({before, other, one, after});
  const auto read = small.scores(tokens, 10);
  const auto spliced = [&](float share) {
    Usage usage;
    const auto scores = small.scores(tokens, 10,
                                     {{.at = 40, .count = 64, .patched = share, .kv = second},
                                      {.at = 104, .count = 80, .patched = share, .kv = first}},
                                     &usage);
    EXPECT_EQ(usage.spliced_tokens, 144);
    EXPECT_EQ(usage.patched_tokens, int32_t(std::ceil(share * 64) + std::ceil(share * 80)));
    return off(scores, read);
  };
  const double none = spliced(0), some = spliced(0.5f), all = spliced(1);
  EXPECT_GT(none, 1e-3);
  EXPECT_LT(some, none);
  EXPECT_LT(all, 1e-5);
}

TEST(Splice, IsRefusedWhereItCannotBeTrue) {
  Small small(1);
  const auto tokens = words(100, 1);
  const KvSnapshot kv = small.state(words(64, 2));
  const auto code = [&](std::vector<Splice> splices) {
    Request request = ask(tokens, 1);
    request.splices = std::move(splices);
    return small.engine->submit(request, {}).code();
  };
  EXPECT_EQ(code({{.at = 36, .count = 64, .kv = kv}}), Code::invalid) << "the last token is read";
  EXPECT_EQ(code({{.at = 0, .first = 1, .count = 64, .kv = kv}}), Code::invalid);
  EXPECT_EQ(code({{.at = 0, .count = 30, .kv = kv}, {.at = 29, .count = 10, .kv = kv}}), Code::invalid);
  EXPECT_EQ(code({{.at = 0, .count = 30, .patched = 1.5f, .kv = kv}}), Code::invalid);
  EXPECT_EQ(code({{.at = 0, .count = 30, .kv = kv}}), Code::ok);
}

}  // namespace
}  // namespace varve

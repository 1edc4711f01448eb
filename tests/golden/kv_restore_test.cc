// State of a trained model that another process computed and saved: whoever loads it goes on bit by bit as if
// it had computed it itself. The same for a fork.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "run/kv/kv_file.h"
#include "tests/support/run_model.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr const char* kModel = "data/models/tinyllamas/stories260K.gguf";
constexpr int32_t kSaved = 200, kMore = 40, kFork = 130;

class Reader {
 public:
  explicit Reader(Ops::Precision precision, const std::string& pack = "f16")
      : ops_(threads_, precision), model_(open_model(posix_env(), shared_path(kModel), ledger_).value()) {
    pool = make_kv_pool(ledger_, model_->shape().kv, {.pack = pack}).value();
    by = {.model = model_->fingerprint(),
          .tokenizer = tokenizer_hash(*model_->tokenizer()),
          .positions = model_->shape().positions,
          .pack = pack,
          .shape = pool->shape};
  }
  // The logits of all these tokens, which follow what the cache holds.
  Logits read(KvCache& kv, std::span<const Token> tokens) {
    const int32_t count = int32_t(tokens.size()), vocabulary = model_->shape().vocabulary;
    EXPECT_TRUE(kv.reserve(count).ok());
    std::vector<int32_t> positions, outputs;
    for (int32_t i = 0; i < count; ++i) positions.push_back(kv.tokens() + i), outputs.push_back(i);
    Scratch scratch =
        Scratch::make(ledger_, model_->scratch_bytes(count, count) + Scratch::bytes_for(count, vocabulary))
            .value();
    Rows rows = scratch.take(count, vocabulary);
    const Segment segment{0, count, &kv, nullptr};
    EXPECT_TRUE(model_->forward({tokens, positions, {&segment, 1}, outputs}, ops_, scratch, rows).ok());
    Logits logits(size_t(count) * vocabulary);
    ops_.store(rows, logits);
    return logits;
  }
  std::unique_ptr<KvCache> cache(const KvSnapshot& from = {}) { return make_kv_cache(pool, from).value(); }
  Tokens tokens(uint32_t seed, int32_t count) {
    return golden_tokens(count, model_->shape().vocabulary, seed);
  }

  KvIdentity by;
  Ledger ledger_{int64_t(1) << 30};
  std::shared_ptr<KvPool> pool;

 private:
  ThreadPool threads_{1};
  Ops ops_;
  std::shared_ptr<const Model> model_;
};

bool same(const Logits& a, const Logits& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Case {
  Ops::Precision precision;
  const char* pack;
};

class Restored : public testing::TestWithParam<Case> {};

TEST_P(Restored, FromAnotherProcessGoesOnBitByBit) {
  NEED_SHARED(kModel);
  TempFolder folder;
  const pid_t child = fork();  // no thread of ours is running here
  ASSERT_GE(child, 0);
  if (child == 0) {
    Reader run(GetParam().precision, GetParam().pack);
    auto kv = run.cache();
    KvHead head{.made_by = run.by, .before = kv_root(run.by), .tokens = run.tokens(1, kSaved)};
    run.read(*kv, head.tokens);
    const bool saved = save_kv(posix_env(), folder / "kv", head, kv->snapshot(kSaved).value()).ok();
    _exit(saved ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);

  Reader run(GetParam().precision, GetParam().pack);
  const Tokens first = run.tokens(1, kSaved), more = run.tokens(2, kMore);
  auto fresh = run.cache();
  run.read(*fresh, first);
  const Logits expected = run.read(*fresh, more);

  auto opened = posix_env().open(folder / "kv", Open::read);
  ASSERT_TRUE(opened.ok());
  const KvFile file = KvFile::open(std::move(opened).value()).value();
  ASSERT_TRUE(file.made_by(run.by).ok());
  ASSERT_EQ(file.head().tokens, first);
  KvBlocks blocks;
  ASSERT_TRUE(file.load(*run.pool, kSaved, blocks).ok());
  auto restored = run.cache(join(blocks, kSaved));
  EXPECT_TRUE(same(run.read(*restored, more), expected));
}

TEST_P(Restored, AForkGoesOnAsIfItWereFresh) {
  NEED_SHARED(kModel);
  Reader run(GetParam().precision, GetParam().pack);
  const Tokens first = run.tokens(1, kFork), rest = run.tokens(3, 60), more = run.tokens(2, kMore);
  auto origin = run.cache();
  run.read(*origin, first);
  auto fresh = run.cache();
  run.read(*fresh, first);
  const Logits expected = run.read(*fresh, more);
  const KvSnapshot snapshot = origin->snapshot(kFork).value();
  auto fork = run.cache(snapshot);
  const Logits origins = run.read(*origin, rest);
  EXPECT_TRUE(same(run.read(*fork, more), expected));
  auto alone = run.cache(snapshot);
  EXPECT_TRUE(same(run.read(*alone, rest), origins));
}

INSTANTIATE_TEST_SUITE_P(Ways, Restored,
                         testing::Values(Case{Ops::Precision::exact, "f32"},
                                         Case{Ops::Precision::exact, "f16"},
                                         Case{Ops::Precision::fast, "f16"},
                                         Case{Ops::Precision::fast, "bf16"}));

}  // namespace
}  // namespace varve

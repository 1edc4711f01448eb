// Low-rank adapters: at work they are the model whose weights are changed alike; files come back as they
// were.
#include <gtest/gtest.h>

#include <deque>

#include "core/base/rng.h"
#include "memory/parametric/merge.h"
#include "tests/reference/random_model.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr int32_t kRank = 4;

class LowRank : public ::testing::Test {
 protected:
  void SetUp() override {
    const reference::RandomModel model{.architecture = "llama"};
    ASSERT_TRUE(reference::write_random_model(model, 5, env_, "base").ok());
    base_ = std::make_unique<ModelRun>("base", 1, env_);
    for (const char* role : {"blk.0.attn_q", "blk.1.attn_k", "blk.1.ffn_down"}) {
      const WeightStore& weights = base_->model().weights();
      const WeightEntry& entry = weights.entries()[weights.find(role)];
      const auto n = uint64_t(values_.size());
      auto& a = values_.emplace_back(size_t(kRank * entry.cols));
      for (size_t i = 0; i < a.size(); ++i) a[i] = float(random_normal({3, n, Site::test}, i));
      auto& b = values_.emplace_back(size_t(kRank * entry.rows));
      for (size_t i = 0; i < b.size(); ++i) b[i] = float(0.1 * random_normal({4, n, Site::test}, i));
      factors_.push_back({role, kRank, entry.rows, entry.cols, a, b});
    }
    note_ = {.alpha = 2 * kRank, .base = "base", .fingerprint = base_->model().fingerprint()};
  }
  Logits with(std::shared_ptr<const Adapter> adapter) {
    base_->adapt({adapter.get()});
    Logits logits = base_->logits(tokens());
    base_->adapt({});
    return logits;
  }
  Tokens tokens() { return golden_tokens(20, base_->vocabulary()); }
  std::shared_ptr<const LowRankAdapter> made() {
    return LowRankAdapter::make(factors_, note_.alpha, base_->model(), base_->ledger()).value();
  }
  MemoryEnv env_;
  std::unique_ptr<ModelRun> base_;
  std::deque<std::vector<float>> values_;
  std::vector<LowRankFactors> factors_;
  LowRankNote note_;
};

TEST_F(LowRank, AttachedIsMergedAndDetachedIsTheBase) {
  const Logits before = base_->logits(tokens());
  const Logits attached = with(made());
  EXPECT_EQ(base_->logits(tokens()), before) << "detached, to the bit";
  auto& bytes = env_.bytes("base");
  const Gguf gguf = Gguf::parse(bytes).value();
  for (const LowRankFactors& one : factors_) {
    auto* w = reinterpret_cast<float*>(bytes.data() + gguf.tensor(one.role + ".weight")->offset);
    for (int32_t i = 0; i < one.rows; ++i) {
      for (int32_t j = 0; j < one.cols; ++j) {
        for (int32_t r = 0; r < kRank; ++r) {
          w[i * one.cols + j] += 2 * one.b[size_t(i * kRank + r)] * one.a[size_t(r * one.cols + j)];
        }
      }
    }
  }
  EXPECT_LT(nmse(attached, ModelRun("base", 1, env_).logits(tokens())), 1e-10);
  EXPECT_GT(nmse(attached, before), 1e-4);
}

TEST_F(LowRank, FilesOfBothFormatsComeBack) {
  const Logits expected = with(made());
  ASSERT_TRUE(write_low_rank_gguf(env_, "lora", "llama", factors_, note_).ok());
  EXPECT_EQ(with(LowRankAdapter::open(env_, "lora", base_->model(), base_->ledger()).value()), expected);
  const TempFolder folder;
  const std::string path = folder.path() + "/peft";
  ASSERT_TRUE(write_low_rank_peft(posix_env(), path, factors_, note_, {6, 2}).ok());
  const auto read = LowRankAdapter::open(posix_env(), path, base_->model(), base_->ledger());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(with(*read), expected);
}

TEST_F(LowRank, MergedIsAFileLikeTheBaseThatComputesAsAttached) {
  const Logits attached = with(made());
  ASSERT_TRUE(write_low_rank_gguf(env_, "lora", "llama", factors_, note_).ok());
  ASSERT_TRUE(merge_low_rank(env_, "base", "lora", "merged", base_->ledger()).ok());
  EXPECT_EQ(env_.bytes("merged").size(), env_.bytes("base").size());
  EXPECT_LT(nmse(ModelRun("merged", 1, env_).logits(tokens()), attached), 1e-10);
  EXPECT_EQ(merge_low_rank(env_, "merged", "lora", "again", base_->ledger()).code(), Code::invalid)
      << "it is another model now";
}

TEST_F(LowRank, AnAdapterOfAnotherModelIsRefused) {
  ASSERT_TRUE(reference::write_random_model({.architecture = "llama"}, 6, env_, "other").ok());
  ModelRun other("other", 1, env_);
  ASSERT_TRUE(write_low_rank_gguf(env_, "lora", "llama", factors_, note_).ok());
  const auto opened = LowRankAdapter::open(env_, "lora", other.model(), other.ledger());
  EXPECT_EQ(opened.code(), Code::invalid);
  note_.fingerprint.reset();
  factors_[0].role = "blk.7.attn_q";
  ASSERT_TRUE(write_low_rank_gguf(env_, "lora", "llama", factors_, note_).ok());
  EXPECT_EQ(LowRankAdapter::open(env_, "lora", base_->model(), base_->ledger()).code(), Code::invalid);
}

TEST_F(LowRank, NamesGoBothWays) {
  EXPECT_EQ(peft_name("blk.12.ffn_up"), "base_model.model.model.layers.12.mlp.up_proj");
  EXPECT_EQ(role_of_peft(peft_name("blk.12.attn_output")), "blk.12.attn_output");
  EXPECT_EQ(peft_name("token_embd"), "");
  EXPECT_EQ(role_of_peft("base_model.model.model.layers.x.mlp.up_proj"), "");
}

}  // namespace
}  // namespace varve

// Adapters: at work they are the model whose weights are changed alike; files come back as they were; several
// at once are their sum.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "core/base/rng.h"
#include "memory/parametric/merge.h"
#include "memory/parametric/stored_adapter.h"
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
    file_ = adapter(3, {"blk.0.attn_q", "blk.1.attn_k", "blk.1.ffn_down"});
  }
  const WeightEntry& entry(const std::string& role) {
    const WeightStore& weights = base_->model().weights();
    return weights.entries()[weights.find(role)];
  }
  std::span<const float> drawn(uint64_t seed, int64_t count, double size) {
    auto& values = values_.emplace_back(size_t(count));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = float(size * random_normal({seed, values_.size(), Site::test}, i));
    }
    return values;
  }
  AdapterNote note(const std::string& kind) {
    return {.kind = kind,
            .alpha = 2 * kRank,
            .base = "base",
            .family = "llama",
            .fingerprint = base_->model().fingerprint(),
            .lesson = Json::object().set("steps", 3)};
  }
  AdapterFile adapter(uint64_t seed, const std::vector<std::string>& roles) {
    AdapterFile file{note("lora"), {}, {}};
    for (const std::string& role : roles) {
      const int32_t rows = entry(role).rows, cols = entry(role).cols;
      file.tensors.push_back({role, "lora_a", kRank, cols, drawn(seed, kRank * cols, 1)});
      file.tensors.push_back({role, "lora_b", rows, kRank, drawn(seed, kRank * rows, 0.1)});
    }
    return file;
  }
  AdapterFile whole(uint64_t seed, const std::string& role) {
    AdapterFile file{note("dense"), {}, {}};
    const int32_t rows = entry(role).rows, cols = entry(role).cols;
    file.tensors.push_back({role, "delta", rows, cols, drawn(seed, int64_t(rows) * cols, 0.1)});
    return file;
  }
  static AdapterFile copy(const AdapterFile& file) { return {file.note, file.tensors, {}}; }
  std::shared_ptr<const Adapter> made(const AdapterFile& file) {
    return StoredAdapter::make(copy(file), "a", base_->model()).value();
  }
  Logits with(const std::shared_ptr<const Adapter>& adapter) {
    base_->adapt({adapter.get()});
    Logits logits = base_->logits(tokens());
    base_->adapt({});
    return logits;
  }
  Tokens tokens() { return golden_tokens(20, base_->vocabulary()); }
  Result<std::shared_ptr<const StoredAdapter>> opened(const std::string& path) {
    return StoredAdapter::open(env_, path, base_->model(), base_->ledger());
  }
  static void expect_same(const AdapterFile& a, const AdapterFile& b) {
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (const AdapterTensor& one : a.tensors) {
      const auto other = std::find_if(b.tensors.begin(), b.tensors.end(), [&](const AdapterTensor& it) {
        return it.role == one.role && it.name == one.name;
      });
      ASSERT_NE(other, b.tensors.end()) << one.role << one.name;
      EXPECT_EQ(one.rows, other->rows);
      EXPECT_EQ(std::vector(one.values.begin(), one.values.end()),
                std::vector(other->values.begin(), other->values.end()));
    }
    EXPECT_EQ(a.note.kind, b.note.kind);
    EXPECT_EQ(a.note.alpha, b.note.alpha);
    EXPECT_EQ(a.note.base, b.note.base);
    EXPECT_EQ(a.note.fingerprint, b.note.fingerprint);
    EXPECT_EQ(a.note.lesson, b.note.lesson);
  }
  MemoryEnv env_;
  std::unique_ptr<ModelRun> base_;
  std::deque<std::vector<float>> values_;
  AdapterFile file_;
};

TEST_F(LowRank, AttachedIsMergedAndDetachedIsTheBase) {
  const Logits before = base_->logits(tokens());
  const Logits attached = with(made(file_));
  EXPECT_EQ(base_->logits(tokens()), before) << "detached, to the bit";
  auto& bytes = env_.bytes("base");
  const Gguf gguf = Gguf::parse(bytes).value();
  for (size_t n = 0; n < file_.tensors.size(); n += 2) {
    const AdapterTensor &a = file_.tensors[n], &b = file_.tensors[n + 1];
    auto* w = reinterpret_cast<float*>(bytes.data() + gguf.tensor(a.role + ".weight")->offset);
    for (int32_t i = 0; i < b.rows; ++i) {
      for (int32_t j = 0; j < a.cols; ++j) {
        for (int32_t r = 0; r < kRank; ++r) {
          w[i * a.cols + j] += 2 * b.values[size_t(i * kRank + r)] * a.values[size_t(r * a.cols + j)];
        }
      }
    }
  }
  EXPECT_LT(nmse(attached, ModelRun("base", 1, env_).logits(tokens())), 1e-10);
  EXPECT_GT(nmse(attached, before), 1e-4);
}

TEST_F(LowRank, FilesOfBothFormatsComeBackToTheBit) {
  ASSERT_TRUE(write_adapter_gguf(env_, "lora", file_).ok());
  const AdapterFile read = read_adapter(env_, "lora", {}, base_->ledger()).value();
  expect_same(file_, read);
  EXPECT_EQ(with(opened("lora").value()), with(made(file_)));
  EXPECT_EQ(encode_adapter(read).value(), env_.bytes("lora")) << "the payload of a cube is the file";
  const TempFolder folder;
  const std::string path = folder.path() + "/peft";
  ASSERT_TRUE(write_adapter_peft(posix_env(), path, file_, {6, 2}).ok());
  const AdapterFile peft = read_adapter(posix_env(), path, {6, 2}, base_->ledger()).value();
  expect_same(file_, peft);
}

TEST_F(LowRank, MergedIsAFileLikeTheBaseThatComputesAsAttached) {
  const AdapterFile other = whole(9, "blk.1.ffn_down");
  const auto both = mix_adapters({{made(file_), 1}, {made(other), 0.5f}}, base_->model().weights());
  const Logits attached = with(both);
  const MergeShare shares[] = {{file_, "lora", 1}, {other, "dense", 0.5f}};
  ASSERT_TRUE(merge_adapters(env_, "base", shares, "merged", base_->ledger()).ok());
  EXPECT_EQ(env_.bytes("merged").size(), env_.bytes("base").size());
  EXPECT_LT(nmse(ModelRun("merged", 1, env_).logits(tokens()), attached), 1e-10);
  EXPECT_EQ(merge_adapters(env_, "merged", shares, "again", base_->ledger()).code(), Code::invalid)
      << "it is another model now";
}

TEST_F(LowRank, SeveralAreTheirSumEachWithItsStrength) {
  const AdapterFile other = adapter(7, {"blk.0.attn_q", "blk.0.ffn_up"});
  const WeightStore& weights = base_->model().weights();
  const Logits one = with(made(file_)), two = with(made(other)), base = with(nullptr);
  const auto mixed = [&](float a, float b) {
    return with(mix_adapters({{made(file_), a}, {made(other), b}}, weights));
  };
  EXPECT_EQ(mixed(1, 0), one);
  EXPECT_EQ(mixed(0, 1), two);
  EXPECT_EQ(mixed(0, 0), base);
  EXPECT_GT(nmse(mixed(1, 1), one), 1e-4);
  EXPECT_GT(nmse(mixed(0.5f, 1), mixed(1, 1)), 1e-6);
  const Logits halves = with(mix_adapters({{made(file_), 0.5f}, {made(file_), 0.5f}}, weights));
  EXPECT_LT(nmse(halves, one), 1e-10);
  EXPECT_EQ(mix_adapters({}, weights), nullptr);
}

TEST_F(LowRank, SequencesOfOneStepHaveTheirOwnAdapters) {
  const AdapterFile other = whole(7, "blk.0.attn_output");
  const auto a = made(file_), b = made(other), mix = mix_adapters({{a, 1}, {b, 2}}, base_->model().weights());
  const Logits la = with(a), lb = with(b), lmix = with(mix), base = with(nullptr);
  base_->adapt({a.get(), nullptr, mix.get(), b.get()});
  const auto together = base_->logits({tokens(), tokens(), tokens(), tokens()}, 7);
  EXPECT_EQ(together, (std::vector<Logits>{la, base, lmix, lb}));
}

TEST_F(LowRank, AnAdapterOfAnotherModelIsRefused) {
  ASSERT_TRUE(reference::write_random_model({.architecture = "llama"}, 6, env_, "other").ok());
  ModelRun other("other", 1, env_);
  const Status refused = StoredAdapter::make(copy(file_), "mine", other.model()).status();
  EXPECT_EQ(refused.code(), Code::invalid);
  EXPECT_NE(refused.message().find("mine was made for another model than"), std::string::npos);
  AdapterFile foreign = copy(file_);
  foreign.note.fingerprint.reset();
  foreign.tensors[0].role = foreign.tensors[1].role = "blk.7.attn_q";
  EXPECT_EQ(StoredAdapter::make(copy(foreign), "mine", base_->model()).code(), Code::invalid);
  foreign = copy(file_);
  foreign.tensors.pop_back();
  EXPECT_EQ(StoredAdapter::make(copy(foreign), "mine", base_->model()).code(), Code::invalid);
  foreign = copy(file_);
  foreign.note.kind = "magic";
  EXPECT_EQ(StoredAdapter::make(copy(foreign), "mine", base_->model()).code(), Code::not_found);
}

TEST_F(LowRank, NamesGoBothWays) {
  EXPECT_EQ(peft_name("blk.12.ffn_up"), "base_model.model.model.layers.12.mlp.up_proj");
  EXPECT_EQ(role_of_peft(peft_name("blk.12.attn_output")), "blk.12.attn_output");
  EXPECT_EQ(peft_name("token_embd"), "");
  EXPECT_EQ(role_of_peft("base_model.model.model.layers.x.mlp.up_proj"), "");
}

}  // namespace
}  // namespace varve

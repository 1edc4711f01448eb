// Adapters: what a delta adds is what the changed weight would have given, sequence by sequence.
#include <map>

#include "core/base/rng.h"
#include "tests/reference/random_model.h"
#include "tests/support/memory_env.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

struct DenseDelta : Delta {
  void add(Ops& ops, Scratch&, Rows x, Rows y, float) const override { ops.matmul(x, matrix, y, true); }
  int64_t scratch_bytes(int32_t) const override { return 0; }
  std::vector<float> values;
  Matrix matrix;
};

struct DenseAdapter : Adapter {
  const Delta* on(WeightId id) const override {
    auto found = deltas.find(id);
    return found == deltas.end() ? nullptr : &found->second;
  }
  std::map<WeightId, DenseDelta> deltas;
};

// Deltas for some weights of a model, and beside it the model with its weights so changed.
class Adapters : public ::testing::Test {
 protected:
  void SetUp() override {
    const reference::RandomModel model{.architecture = "phi3", .fused_qkv = true, .biases = true};
    ASSERT_TRUE(reference::write_random_model(model, 5, env_, "base").ok());
    base_ = std::make_unique<ModelRun>("base", 2, env_);
    auto bytes = env_.bytes("base");
    const Gguf gguf = Gguf::parse(bytes).value();
    GgufWriter changed;
    for (const auto& [key, value] : gguf.metadata()) changed.set(key, value);
    for (const GgufTensor& tensor : gguf.tensors()) {
      const auto own = std::span(bytes).subspan(size_t(tensor.offset), size_t(tensor.bytes));
      for (const char* role :
           {"blk.0.attn_qkv", "blk.0.attn_output", "blk.1.ffn_up", "blk.1.ffn_down", "output"}) {
        if (tensor.name == std::string(role) + ".weight") change(role, own);
      }
      changed.add(tensor.name, tensor.type, tensor.shape, own);
    }
    ASSERT_TRUE(changed.write(env_, "changed").ok());
    ASSERT_EQ(adapter_.deltas.size(), 5u);
  }
  void change(const char* role, std::span<std::byte> bytes) {
    const WeightStore& weights = base_->model().weights();
    const WeightEntry& entry = weights.entries()[weights.find(role)];
    DenseDelta& delta = adapter_.deltas[weights.find(role)];
    std::vector<float> held(bytes.size() / 4);
    entry.codec->decode(bytes, held);
    for (size_t i = 0; i < held.size(); ++i) {
      delta.values.push_back(float(0.1 * random_normal({7, weights.find(role), Site::test}, i)));
      held[i] += delta.values[i];
    }
    entry.codec->encode(held, bytes);
    delta.matrix = {entry.codec, std::as_bytes(std::span<const float>(delta.values)), entry.rows, entry.cols};
  }

  MemoryEnv env_;
  std::unique_ptr<ModelRun> base_;
  DenseAdapter adapter_;
};

TEST_F(Adapters, ADeltaActsAsTheChangedWeight) {
  const Tokens tokens = golden_tokens(40, base_->vocabulary());
  const Logits plain = base_->logits(tokens);
  base_->adapt({&adapter_});
  const Logits adapted = base_->logits(tokens);
  ModelRun changed("changed", 1, env_);
  EXPECT_LT(nmse(adapted, changed.logits(tokens)), 1e-9);
  EXPECT_GT(nmse(adapted, plain), 1e-3);
  EXPECT_EQ(base_->logits(tokens, 7), adapted);
}

TEST_F(Adapters, EachSequenceOfABatchHasItsOwn) {
  const Tokens first = golden_tokens(20, base_->vocabulary(), 1),
               second = golden_tokens(31, base_->vocabulary(), 2);
  const Logits plain = base_->logits(first);
  base_->adapt({&adapter_});
  const Logits adapted = base_->logits(second);
  base_->adapt({nullptr, &adapter_, nullptr});
  const auto together = base_->logits({first, second, first}, 8);
  EXPECT_EQ(together[0], plain);
  EXPECT_EQ(together[1], adapted);
  EXPECT_EQ(together[2], plain);
}

}  // namespace
}  // namespace varve

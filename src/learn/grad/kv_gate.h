// A gate over KV that learns (Attention-Gate, Zeng et al. 2024), here linear: of each token and KV head a
// logit of what attention reads, by which run/kv/policy/gate.cc keeps or drops. While it learns a token stays
// with the logit's probability: its log-multiplicity is log g, g the relaxed coin of Maddison et al. (2017)
// and Jang et al. (2017), so that both what stays and what goes has a slope. A term of the loss pulls the
// share that stays, in the mean over all heads and layers, to what is asked for. The newest tokens and the
// sinks are read whatever their logits.
#pragma once

#include "core/base/options.h"
#include "learn/grad/leaf.h"
#include "learn/grad/parts.h"

namespace varve {

struct KvGateSpec {
  float keep = 0.25f;   // the share of tokens that is to stay
  float pressure = 20;  // times the square of how far it is from that, in a batch
  float sharp = 0.5f;   // temperature of the coin
  int32_t near = 16;    // a query reads so many newest tokens as they are, its own among them
  int32_t sinks = 4;    // and the first of its document
  uint64_t seed = 1;    // of the coins: a function of row, layer and head
};
// "gate:keep=0.25,near=16". invalid: an option that there is not.
Result<KvGateSpec> read_kv_gate(const Spec& spec);

// Of all layers, and what of their tokens stays in the batch that is at work.
struct KvGates {
  KvGateSpec spec;
  std::vector<double> shares = {};  // layer by layer
  double share() const;             // the mean
};

// The gate of one layer: from logits [row][kv_heads] to log-multiplicities, and back.
class KvGate {
 public:
  KvGate(KvGates& all, int32_t layer);
  const KvGateSpec& spec() const { return all_->spec; }
  std::vector<float> logs(std::span<const float> logits, std::span<const int32_t> positions,
                          int32_t heads) const;
  // Slopes of logs become those of logits, the pull to the share that is to stay added.
  void back(std::span<const float> logits, std::span<const int32_t> positions, int32_t heads,
            std::span<float> slopes) const;

 private:
  double coin(size_t at) const;  // logistic noise
  KvGates* all_;
  int32_t layer_;
};

// The model as it is, and a gate in every layer.
class GateSource : public LeafSource {
 public:
  GateSource(const WeightStore& store, KvGateSpec spec, Parts& parts)
      : store_(store), gates_{spec}, parts_(parts) {}
  const KvGateSpec& spec() const { return gates_.spec; }
  KvGates* kv_gates() override { return &gates_; }
  double share() const { return gates_.share(); }  // of tokens that stay, in the newest batch
  bool has(std::string_view role) const override;
  Result<std::unique_ptr<Leaf>> leaf(std::string_view role, int32_t rows, int32_t cols) override;
  Result<Vector> vector(std::string_view role, int32_t width) override;
  void begin();  // the values: every token stays with the probability asked for

 private:
  const WeightStore& store_;
  KvGates gates_;
  Parts& parts_;
};

}  // namespace varve

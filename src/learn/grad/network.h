// Network: a decoder that learns. The same DecoderSpec and the same weights, by the same roles, as run/model:
// what is trained here runs there.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "learn/grad/saved.h"

namespace varve {

// One micro-batch: rows of whole documents, one after another.
struct Lines {
  std::span<const int32_t> tokens;
  std::span<const int32_t> targets;  // what follows each token; -1: nothing to learn
  std::span<const float> weights;    // the slope of the loss in each target's negative log-likelihood
  std::span<const int32_t> starts;   // first rows of the documents
};

struct NetworkPlan {
  int32_t rows = 0;                         // of a micro-batch, at most
  std::vector<LayerPlan> layers;            // one a layer
  int32_t head_rows = 0, head_columns = 0;  // of the logits that exist at a time
  int32_t passes = 0;  // side by side, forward only: nothing is saved, and backward is not to be
};
enum class KeepMode : uint8_t { recompute, hold, spill };
// The usual plans: x alone is kept, or all but what is derived; encoded by `codec`. Of what is no input of a
// block and no result of its attention, `recompute` of the rows are played again instead.
NetworkPlan plan_layers(const Score& score, int32_t layers, int32_t rows, KeepMode mode, const Codec& codec,
                        float recompute = 0);

struct NetworkBytes {
  int64_t kept = 0, spilled = 0, working = 0, logits = 0;  // working has the logits in it
};

class Network {
 public:
  // Sources must outlive it. unsupported: a spec that cannot learn yet.
  static Result<std::unique_ptr<Network>> make(const DecoderSpec& spec, LeafSource& source);

  const DecoderSpec& spec() const { return spec_; }
  const Score& score() const { return scores_[0]; }
  // What a plan takes, to the byte: prepare() books exactly this.
  Result<NetworkBytes> bytes(const NetworkPlan& plan) const;
  Status prepare(NetworkPlan plan, TrainOps& train, Ledger& ledger, std::unique_ptr<File> spill = nullptr);

  // Negative log-likelihood of each target (0 where there is none). Saves nothing. base: of the model without
  // what learns over it.
  Status evaluate(const Lines& lines, std::span<float> nll, bool base = false);
  // Several passes over the same rows, stage by stage: 0 is the embedding, then the layers, then the head,
  // which reads the embedding again where they are tied. Before a pass comes to a stage, `enter` puts the
  // stage's weights in their place. Needs a plan with as many passes.
  using Enter = std::function<Status(int32_t stage, int32_t pass)>;
  Status evaluate(const Lines& lines, std::span<const std::span<float>> nll, const Enter& enter);
  bool tied() const { return output_ == nullptr; }
  // The same as the first, and every pair goes to the sink.
  Status learn(const Lines& lines, std::span<float> nll, Sink& sink);

 private:
  struct Pass;
  Network() = default;
  Status check(const Lines& lines, std::span<float> nll) const;
  Status run(const Lines& lines, std::span<float> nll, Sink* sink, bool base);
  Pass begin(const Lines& lines, bool base);
  Status forward(Pass& pass, bool save);
  Status embed(Pass& pass);
  Status block(Pass& pass, size_t layer, bool save);
  Status head(Pass& pass, std::span<float> nll, Sink* sink);
  Status head_rows(Pass& pass, Rows normed, Rows slopes, int32_t first, std::span<float> nll, Sink* sink);
  Status backward(Pass& pass, Sink& sink);
  int64_t head_bytes(const NetworkPlan& plan) const;
  void complete(NetworkPlan& plan) const;  // the sizes of the head, where they are left open

  DecoderSpec spec_;
  std::vector<Score> scores_;
  std::unique_ptr<Leaf> embedding_, output_;  // output_ null: tied
  Vector output_norm_;
  RopeSpec rope_, rope_local_;
  bool local_ = false;

  NetworkPlan plan_;
  TrainOps* train_ = nullptr;
  std::optional<Scratch> scratch_;
  std::optional<Saved> saved_;
};

}  // namespace varve

// Runs a model file without an engine: sequences with an exact KV, in whatever pieces a test wants.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "run/model/model.h"

namespace varve {

using Tokens = std::vector<Token>;
using Logits = std::vector<float>;  // row after row

class ModelRun {
 public:
  using Open = Result<std::shared_ptr<const Model>>(Env&, const std::string&, Ledger&);
  // `open`: open_model(), or another way to have its weights.
  explicit ModelRun(const std::string& path, int threads = 1, Env& env = posix_env(), Open* open = nullptr);
  const Model& model() const { return *model_; }
  int32_t vocabulary() const { return model_->shape().vocabulary; }
  Ledger& ledger() { return ledger_; }
  void adapt(std::vector<const Adapter*> by_sequence) { adapters_ = std::move(by_sequence); }
  // The first `prompt` tokens of a sequence are read at once from now on, and its rows pass what is chosen.
  void choose(std::vector<NeuronChoice*> by_sequence, int32_t prompt) {
    choices_ = std::move(by_sequence);
    prompt_ = prompt;
  }

  // Logits of every token, computed `chunk` tokens at a time (0: all at once).
  Logits logits(const Tokens& tokens, int32_t chunk = 0);
  // The same for several sequences at once, `chunk` tokens of each that has any left in one step.
  std::vector<Logits> logits(const std::vector<Tokens>& sequences, int32_t chunk);
  // Hidden states of the last token, after the last norm or after so many layers; and its logits from them.
  std::vector<float> hidden(const Tokens& tokens, int32_t layer = 0);
  Logits head(std::span<const float> hidden);

 private:
  struct Sequence {
    const Tokens* tokens;
    const Adapter* adapter;
    NeuronChoice* neurons;
    std::unique_ptr<KvCache> kv;
    size_t done = 0;
    Logits logits;
  };
  std::vector<Sequence> start(const std::vector<Tokens>& sequences);
  void step(std::vector<Sequence>& sequences, int32_t chunk);

  Ledger ledger_{int64_t(4) << 30};
  ThreadPool pool_;
  Ops ops_;
  std::shared_ptr<const Model> model_;
  std::shared_ptr<KvPool> kv_;
  std::vector<const Adapter*> adapters_;
  std::vector<NeuronChoice*> choices_;
  int32_t prompt_ = 0;
};

// Tokens that every test can make again: the generator of the golden files' README.
Tokens golden_tokens(int32_t count, int32_t vocabulary, uint32_t seed = 12345);
double nmse(std::span<const float> ours, std::span<const float> theirs);

}  // namespace varve

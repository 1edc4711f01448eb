// Low-rank adapters (Hu et al. 2021) on disk and at work: y += scale * b a x. Two formats: GGUF with
// general.type "adapter", and PEFT's folder of adapter_config.json and adapter_model.safetensors.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/format/json.h"
#include "run/model/model.h"

namespace varve {

// The factors of one weight: a [rank][cols], b [rows][rank], floats, borrowed.
struct LowRankFactors {
  std::string role;  // "blk.0.attn_q"
  int32_t rank = 0, rows = 0, cols = 0;
  std::span<const float> a, b;
};

class LowRankAdapter : public Adapter {
 public:
  // A GGUF file, or a folder of PEFT's, for a model. invalid: it was made for another model, or names weights
  // or shapes that this one has not; corrupt, unsupported, over_budget as of any file.
  static Result<std::shared_ptr<const LowRankAdapter>> open(Env& env, const std::string& path,
                                                            const Model& model, Ledger& ledger);
  // Copies the factors. Those of one role come once.
  static Result<std::shared_ptr<const LowRankAdapter>> make(std::span<const LowRankFactors> factors,
                                                            float alpha, const Model& model, Ledger& ledger);
  const Delta* on(WeightId id) const override;
  std::vector<LowRankFactors> factors() const;
  float alpha() const { return alpha_; }

 private:
  struct Pair : Delta {
    void add(Ops& ops, Scratch& scratch, Rows x, Rows y) const override;
    int64_t scratch_bytes(int32_t rows) const override { return Scratch::bytes_for(rows, a.rows); }
    std::string role;
    Matrix a, b;
    float scale = 1;
  };
  std::map<WeightId, Pair> pairs_;
  Buffer values_;
  float alpha_ = 1;
};

struct LowRankNote {  // what goes with the factors
  float alpha = 1;    // a factor pair adds alpha / rank times its product
  std::string base;   // name or path of the model, for people
  std::optional<Hash256> fingerprint;
  Json lesson;  // how it was made; null: nothing is said
};
// `architecture` as in the model's file, "llama".
Status write_low_rank_gguf(Env& env, const std::string& path, const std::string& architecture,
                           std::span<const LowRankFactors> factors, const LowRankNote& note);
// Where a model's queries and keys are permuted against PEFT's (families whose rotation pairs neighbours),
// the heads of each; else 0.
struct HeadCounts {
  int32_t heads = 0, kv_heads = 0;
};
HeadCounts permuted_heads(std::string_view family, int32_t heads, int32_t kv_heads);
// `path` is a folder, made when absent.
Status write_low_rank_peft(Env& env, const std::string& path, std::span<const LowRankFactors> factors,
                           const LowRankNote& note, HeadCounts permuted);

// "base_model.model.model.layers.3.self_attn.q_proj" and back; empty when it is none of a decoder's.
std::string peft_name(std::string_view role);
std::string role_of_peft(std::string_view name);

}  // namespace varve

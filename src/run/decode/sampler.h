// Sampler: one token from logits. A chain in the order that users of llama.cpp expect: bias, penalties,
// top-k, top-p, min-p, temperature, draw. The draw is a function of (seed, token index): no state.
//
// top-k keeps the best k; top-p the fewest of those that together have the probability p; min-p those with at
// least that share of the best one's probability. Of equal logits the smaller id is better. At least one
// token always stays.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace varve {

struct SamplingOptions {
  std::optional<float> temperature;  // 0: greedy, ties go to the smaller id; none: the model's, else 0.8
  int32_t top_k = 40;                // 0: all
  float top_p = 0.95f, min_p = 0.05f;
  // Of the tokens in the newest part of the history: a positive logit is divided by repeat_penalty, a
  // negative one multiplied; then presence_penalty is subtracted, and frequency_penalty once for each time.
  float repeat_penalty = 1, frequency_penalty = 0, presence_penalty = 0;
  int32_t penalty_window = 64;  // newest tokens that count; -1: all
  uint64_t seed = 0;
  std::map<int32_t, float> logit_bias;  // added; -100 or less bans; ids outside the vocabulary are ignored
  int32_t logprobs = -1;                // -1: none; 0: of the chosen token; n: also the n best
  Status validate() const;              // invalid names the field and its range
};

struct Sampled {
  int32_t token = 0;
  float logprob = 0;  // natural log, of the model's own distribution (before the chain)
  std::vector<std::pair<int32_t, float>> best;  // descending
};

// `logits` is overwritten. `history`: the sequence so far, newest last. `index`: how many tokens were drawn
// before. Tokens at -infinity, or whose logit is no number, are never drawn. corrupt: there was no other when
// it began; invalid: the bias banned the rest.
Result<Sampled> sample(std::span<float> logits, std::span<const int32_t> history, uint64_t index,
                       const SamplingOptions& options);

}  // namespace varve

// Sequence: one request on its way through the engine. The engine thread owns it once it left the inbox.
#pragma once

#include <algorithm>
#include <chrono>

#include "run/engine/engine.h"
#include "run/kv/kv_swap.h"
#include "run/model/choose/chooser.h"

namespace varve {

struct Sequence {
  using Time = std::chrono::steady_clock::time_point;
  static Time now() { return std::chrono::steady_clock::now(); }

  SequenceId id = 0;
  Request request;  // its tokens are in `tokens`
  Listener listener;
  uint64_t prefix_epoch = 0;      // of its scope, when it was submitted
  std::vector<Token> tokens;      // the prompt, then what was generated
  int32_t most_tokens = 0;        // that it may have at one time
  std::unique_ptr<KvCache> kv;    // null while it waits, or is paused
  std::unique_ptr<KvCache> away;  // of one that is paused; its pages are in the slot
  KvSwap::Slot slot;
  std::unique_ptr<Constraint> constraint;
  std::optional<Subtasks> subtasks;
  std::unique_ptr<NeuronChoice> neurons;  // null: its rows pass all
  std::vector<double> hidden_sum;         // of the prompt's rows, to embed
  std::vector<float> scores;              // of the prompt's tokens, to score
  Reservation booked;                     // of what the next function counts
  Usage usage;
  Time submitted, admitted, prefilled, paused;
  size_t next_splice = 0;
  int32_t waited_steps = 0, served_steps = 0;  // see SequenceView
  bool finished = false;

  const Splice* splice() const {  // that comes next
    return next_splice < request.splices.size() ? &request.splices[next_splice] : nullptr;
  }
  // Rows that can be computed now.
  int32_t rows() const {
    return splice() != nullptr && kv ? std::min(pending(), splice()->at - kv->tokens()) : pending();
  }
  // Of what its KV holds, those that passed all neurons: what others may have.
  int32_t exact_tokens() const {
    return neurons ? std::min(kv->tokens(), usage.prompt_tokens) : kv->tokens();
  }
  int32_t pending() const { return int32_t(tokens.size()) - (kv ? kv->tokens() : 0); }
  // What it takes beside its KV, in all.
  int64_t held_bytes(int32_t width) const {
    constexpr int64_t kBias = 64;  // a node of the map
    return int64_t(sizeof(Token)) * most_tokens + kBias * int64_t(request.sampling.logit_bias.size()) +
           (request.embed ? int64_t(sizeof(double)) * width : 0) +
           (request.score_from > 0 ? int64_t(sizeof(float)) * (most_tokens - request.score_from) : 0) +
           (request.grammar ? request.grammar->held_bytes() : 0) +
           (constraint ? constraint->held_bytes() : 0);
  }
  bool writes() const { return !request.embed && request.score_from == 0; }
  // Whether the pass that computes token `at` is to give something for it.
  bool wants_row(int32_t at) const {
    const bool last = at + 1 == int32_t(tokens.size());
    if (request.embed) return request.pooling == Pooling::last ? last : at >= request.pool_from;
    return request.score_from > 0 ? !last && at + 1 >= request.score_from : last && wants_token();
  }
  void pool(int32_t at, std::span<const float> row);
  std::vector<float> pooled() const;
  bool wants_token() const {
    return int32_t(tokens.size()) < most_tokens && usage.generated_tokens < request.max_tokens;
  }
};

inline double ms_between(Sequence::Time from, Sequence::Time to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}
// Whether what `a` computes is what `b` would.
inline bool shares(const Sequence& a, const Sequence& b) {
  return a.request.scope == b.request.scope && a.request.adapter == b.request.adapter &&
         a.request.splices.empty();
}

// The next token, or nothing when the text is over: an end-of-generation token was drawn, or the grammar
// allows no more. Errors: those of sample(); invalid: the vocabulary cannot spell the grammar.
Result<std::optional<Sampled>> draw(Sequence& sequence, const Tokenizer* tokenizer, std::span<float> logits);

}  // namespace varve

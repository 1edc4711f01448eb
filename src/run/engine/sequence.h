// Sequence: one request on its way through the engine. The engine thread owns it once it left the inbox.
#pragma once

#include <chrono>

#include "run/engine/engine.h"

namespace varve {

struct Sequence {
  using Time = std::chrono::steady_clock::time_point;

  SequenceId id = 0;
  Request request;  // its tokens are in `tokens`
  Listener listener;
  uint64_t prefix_epoch = 0;    // of its scope, when it was submitted
  std::vector<Token> tokens;    // the prompt, then what was generated
  int32_t most_tokens = 0;      // the prompt and all that may be generated
  std::unique_ptr<KvCache> kv;  // null while it waits
  std::unique_ptr<Constraint> constraint;
  std::vector<double> hidden_sum;  // of the prompt's rows, to embed
  Reservation booked;              // of what the next function counts
  Usage usage;
  Time submitted, admitted, prefilled;
  int32_t waited_steps = 0;  // see SequenceView
  bool finished = false;

  int32_t pending() const { return int32_t(tokens.size()) - (kv ? kv->tokens() : 0); }
  // What it takes beside its KV, in all.
  int64_t held_bytes(int32_t width) const {
    constexpr int64_t kBias = 64;  // a node of the map
    return int64_t(sizeof(Token)) * most_tokens + kBias * int64_t(request.sampling.logit_bias.size()) +
           (request.embed ? int64_t(sizeof(double)) * width : 0) +
           (request.grammar ? request.grammar->held_bytes() : 0) +
           (constraint ? constraint->held_bytes() : 0);
  }
  bool wants_token() const { return int32_t(tokens.size()) < most_tokens; }
};

// The next token, or nothing when the text is over: an end-of-generation token was drawn, or the grammar
// allows no more. Errors: those of sample(); invalid: the vocabulary cannot spell the grammar.
Result<std::optional<Sampled>> draw(Sequence& sequence, const Tokenizer* tokenizer, std::span<float> logits);

}  // namespace varve

#include <algorithm>

#include "run/engine/sequence.h"

namespace varve {
namespace {

bool ends(const Sequence& sequence, const Tokenizer* tokenizer, Token token) {
  // A grammar says by itself when it may end, and has no state after that.
  if (tokenizer == nullptr || (sequence.request.ignore_end && !sequence.constraint)) return false;
  const auto& ending = tokenizer->special().end_of_generation;
  return std::find(ending.begin(), ending.end(), token) != ending.end();
}

}  // namespace

Result<std::optional<Sampled>> draw(Sequence& sequence, const Tokenizer* tokenizer, std::span<float> logits) {
  Constraint* const constraint = sequence.constraint.get();
  if (constraint != nullptr && !constraint->mask(logits)) {
    if (constraint->complete()) return std::optional<Sampled>();
    return Status(Code::invalid, "the model's vocabulary cannot spell what the grammar asks for next");
  }
  Sampled drawn = TRY(
      sample(logits, sequence.tokens, uint64_t(sequence.usage.generated_tokens), sequence.request.sampling));
  if (ends(sequence, tokenizer, drawn.token)) return std::optional<Sampled>();
  if (constraint != nullptr) TRY(constraint->accept(drawn.token).with("accepting a token that was allowed"));
  return std::optional<Sampled>(std::move(drawn));
}

}  // namespace varve

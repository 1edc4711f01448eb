#include "run/engine/capacity.h"

#include <algorithm>

namespace varve {
namespace {

std::string text(int64_t number) {
  return std::to_string(number);
}

}  // namespace

KvPositions positions_of(const Model& model) {
  KvPositions positions{.trained = model.shape().context};
  for (int32_t layer = 0; layer < model.shape().kv.layers; ++layer) {
    const auto rope = model.rope(layer);
    if (!rope || rope->kind == RopeKind::none) return {};
    positions.layers.push_back(*rope);
  }
  return positions;
}

Result<int32_t> Capacity::context(int32_t asked, int32_t trained) const {
  if (asked < 0 || (asked > trained && !beyond)) {
    return Status(
        Code::invalid,
        "a context of " + text(asked) + " tokens; the model was trained for " + text(trained) +
            " (0: as many as fit). For more, let queries read less than that (--kv "
            "\"policy=streaming budget_tokens=N\", or a select= with prompts=1), convert it with RoPE "
            "scaling (YaRN) in its file, or take a model made for it");
  }
  const int64_t left = ledger.limit() - ledger.used();
  int32_t tokens = asked > 0 ? asked : trained;
  if (asked == 0 && kv_bytes_for(shape, recipe, tokens) > left) {  // as many pages as fit, and their tokens
    int32_t fit = 1, too_many = tokens / kPageTokens + 1;
    while (fit + 1 < too_many) {
      const int32_t middle = fit + (too_many - fit) / 2, some = middle * kPageTokens;
      const bool fits = kv_bytes_for(shape, recipe, some) + some * int64_t(sizeof(Token)) <= left;
      (fits ? fit : too_many) = middle;
    }
    tokens = std::min(tokens, fit * kPageTokens);
  }
  const int64_t bytes = kv_bytes_for(shape, recipe, tokens);
  if (bytes <= left) return tokens;
  return Status(Code::over_budget, "the KV of " + text(tokens) + " tokens needs " + text(bytes) +
                                       " bytes; of a budget of " + text(ledger.limit()) + " there are " +
                                       text(left) + " left");
}

Status Capacity::admits(int32_t prompt_tokens, int32_t most_tokens, int64_t request_bytes) const {
  const int64_t bytes = kv_bytes_for(shape, recipe, most_tokens);
  const int64_t weights = ledger.used(Tag::weights), scratch = ledger.used(Tag::scratch);
  const int64_t left = ledger.limit() - weights - scratch - request_bytes;
  if (bytes <= left) return {};
  return Status(Code::over_budget, "a prompt of " + text(prompt_tokens) + " tokens and up to " +
                                       text(most_tokens - prompt_tokens) + " more need " + text(bytes) +
                                       " bytes of KV; a budget of " + text(ledger.limit()) +
                                       " less weights (" + text(weights) + "), scratch (" + text(scratch) +
                                       ") and the request (" + text(request_bytes) + ") leaves " +
                                       text(left));
}

}  // namespace varve

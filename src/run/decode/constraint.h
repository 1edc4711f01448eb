// Constraint: what an answer may look like. It forbids tokens, one step at a time; the engine applies it to
// the logits before sampling. From a JSON schema, "any JSON", or a GBNF grammar. Depth, rules and states are
// bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/status.h"
#include "core/format/json.h"
#include "run/model/tokenizer.h"

namespace varve {

class Constraint {  // the state of one answer; not shared
 public:
  virtual ~Constraint() = default;
  // Sets the logit of every token that cannot follow to -infinity. End-of-generation tokens stay allowed only
  // when the text so far is complete. At least one token stays, unless the vocabulary cannot spell the
  // grammar (false).
  virtual bool mask(std::span<float> logits) const = 0;
  // invalid when it was forbidden; unsupported when the grammar is so ambiguous that it cannot be followed.
  virtual Status accept(Token token) = 0;
  virtual bool complete() const = 0;                // the text so far is a whole sentence of the grammar
  virtual int64_t held_bytes() const { return 0; }  // of the heap, by now: the engine books them
};

// A compiled grammar, immutable and shared by the answers that use it. `tokenizer` must outlive it.
class Grammar {
 public:
  virtual ~Grammar() = default;
  virtual std::unique_ptr<Constraint> start() const = 0;
  virtual int64_t held_bytes() const { return 0; }
};
// Compiling sorts the vocabulary, some 20 ms for 150,000 tokens: keep a grammar that is used again.
// invalid: not a grammar, too large, left-recursive, or nothing can match it. unsupported: a keyword of the
// schema that constrains and is not understood; the message names it and its place.
Result<std::shared_ptr<const Grammar>> grammar_from_gbnf(std::string_view text, const Tokenizer& tokenizer);
// Whatever it accepts is valid by the schema, but for repeated keys where a schema leaves them open, and for
// oneOf, which is read as anyOf. Members come in the order of `properties`, which admit no others unless
// additionalProperties says so.
Result<std::shared_ptr<const Grammar>> grammar_from_json_schema(const Json& schema,
                                                                const Tokenizer& tokenizer);
Result<std::shared_ptr<const Grammar>> grammar_any_json(const Tokenizer& tokenizer);  // one JSON object

}  // namespace varve

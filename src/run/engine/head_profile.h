// What each KV head of a model looks at, measured by running it: for allotters that split heads.
#pragma once

#include "run/kv/allot/head_file.h"
#include "run/model/model.h"

namespace varve {

struct HeadProfileOptions {
  int32_t random_tokens = 256;  // read twice, one after the other
  int32_t sinks = 4, window = 64;
  uint64_t seed = 1;
};
// `text`: any, longer than sinks and window; the longer the truer. invalid: it is not.
Result<HeadProfile> profile_heads(const Model& model, Ops& ops, Ledger& ledger, std::span<const Token> text,
                                  const HeadProfileOptions& options);

}  // namespace varve

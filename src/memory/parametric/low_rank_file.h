// What a file of a low-rank adapter holds, read.
#pragma once

#include "memory/parametric/low_rank.h"

namespace varve {

struct LowRankFile {
  std::vector<LowRankFactors> factors;  // views of `values`
  LowRankNote note;
  Buffer values;
};
Result<LowRankFile> read_gguf_adapter(Env& env, const std::string& path, Ledger& ledger);
Result<LowRankFile> read_peft(Env& env, const std::string& path, HeadCounts permuted, Ledger& ledger);
// Either, by what `path` is.
Result<LowRankFile> read_low_rank(Env& env, const std::string& path, HeadCounts permuted, Ledger& ledger);

}  // namespace varve

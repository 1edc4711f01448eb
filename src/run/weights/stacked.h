// Weights in residual blocks (BitStack, Wang et al. 2024): a file may hold, beside a weight, blocks that each
// bring it nearer to what it was: "blk.0.ffn_up.weight.more.1", ".2". As many are in memory as there is room
// for, the worthiest first; more or fewer change how good the answers are and nothing else.
#pragma once

#include "run/weights/weight_store.h"

namespace varve {

inline constexpr std::string_view kMore = ".weight.more.";
// A vector of one number a block, in the order of the file: what the block is worth, a byte.
inline constexpr std::string_view kMoreWorth = "more.worth";

inline bool is_block(const WeightEntry& entry) {
  return entry.role.find(kMore) != std::string::npos;
}

// As open_resident_weights(), of entries some of which are blocks; these alone need not fit. Its streaming()
// is there to say how many bytes of blocks stay: they are read, or dropped, at once.
Result<std::unique_ptr<WeightStore>> open_stacked_weights(Env& env, const std::string& path,
                                                          std::vector<WeightEntry> entries, Ledger& ledger,
                                                          int64_t working_bytes);
Result<std::unique_ptr<WeightStore>> open_resident_entries(Env& env, const std::string& path,
                                                           std::vector<WeightEntry> entries, Ledger& ledger,
                                                           int64_t working_bytes);

}  // namespace varve

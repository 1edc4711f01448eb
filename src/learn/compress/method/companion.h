// What methods share that give back some of a weight's error in matrices beside it.
#pragma once

#include "learn/compress/compressed_file.h"
#include "learn/compress/draft.h"

namespace varve {

// Of the layers' own matrices that round: experts, tables and the head have no place for companions.
inline bool takes_companions(const Weight& weight) {
  return weight.rounds && !weight.is_expert() && weight.role().starts_with("blk.");
}

// What is left of a weight when it has been rounded, a piece at a time, and the weight itself.
Status each_error(
    const Draft& draft, const CompressedFile& file, size_t weight,
    const std::function<Status(int32_t first, std::span<const float> rows, std::span<float> errors)>& take);

// By column, how much an error counts: the mean square of the input, or 1 where nothing was seen.
Result<std::vector<float>> importance_of(const Draft& draft, const Weight& weight);

}  // namespace varve

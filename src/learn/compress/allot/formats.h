// The formats that a target chooses among for each weight, and what each of them makes of its rows.
#pragma once

#include <functional>

#include "learn/compress/draft.h"

namespace varve {

// By growing size. planes: also those that GGUF does not have, of 2.25 to 6.25 bits (bp2 to bp6).
std::vector<const Codec*> formats_for(const Weight& weight, bool planes);

// A row, what format number `format` makes of it, and the mean squares of the inputs that it meets (ones,
// where nobody looked). Rows come in their order; formats side by side, each by one thread.
using TakeRounded = std::function<void(size_t format, std::span<const float> row, std::span<const float> back,
                                       std::span<const float> squares)>;
Status each_rounded(const Draft& draft, const Weight& weight, std::span<const Codec* const> formats,
                    const TakeRounded& take);

}  // namespace varve

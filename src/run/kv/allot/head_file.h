// What the heads of a model look at, measured once (varve profile heads) and read whenever an allotter splits
// them: a text file, a line a lane.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve {

struct HeadProfile {
  struct Head {
    float recall =
        0;  // of repeated random tokens: attention to where this one stood before, and to what followed
    float far = 0;  // of text: attention to what is neither a sink nor among the newest
  };
  int32_t layers = 0, heads = 0;  // KV heads
  std::vector<Head> lanes;        // layer by layer
};

std::string to_text(const HeadProfile& profile);
Result<HeadProfile> parse_head_profile(std::string_view text);  // invalid: says which line

}  // namespace varve

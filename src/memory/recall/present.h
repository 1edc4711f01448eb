// Recalled words as a prompt shows them: each with its source and date, between marks that say what they are,
// so that they are read as quotations and never stored again as new.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memory/cube/cube.h"

namespace varve {

struct Recalled {
  CubeHeader header;
  std::string text;
  float score = 0;
  std::vector<std::pair<std::string, float>> parts;  // retriever -> its own score, for explain
};

// In the order of time, whatever the scores: of two memories that contradict each other the later one stands
// last (docs/decisions/0018-memories-in-order-of-time.md). Empty when nothing was recalled. A cube's own text
// cannot close the marks or begin a line that looks like one. `counted`: what was counted over all memories,
// or empty.
std::string present(const std::vector<Recalled>& recalled, std::string_view counted = {});
// "8 May 2023, Caroline, session s3 turn 4": where a memory is from and when it happened.
std::string source_of(const CubeHeader& header);

bool is_recalled_text(std::string_view text);       // carries the marks
std::string strip_recalled(std::string_view text);  // without the marked parts

}  // namespace varve

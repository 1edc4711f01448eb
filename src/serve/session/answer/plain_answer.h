// PlainAnswer: what memory says on its own, without a model: the recalled words with source and date.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memory/recall/recall.h"

namespace varve {

// "2024-05-08, you said: I like figs. (chat, turn 3)"
std::string describe(const Recalled& recalled);
// Questions, echoes of `user` and what only stood beside something found are no answers: they are taken
// out of `recalled`. What asks nothing and meets nothing is noted. `counted`, over all memories, comes first.
std::string plain_answer(std::string_view user, std::string_view counted, std::vector<Recalled>& recalled);

}  // namespace varve

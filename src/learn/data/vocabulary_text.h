// The text that a vocabulary is learnt from: items of the training split without the values that evaluation
// replaces by others. A name that were one token in training and four in evaluation would teach to copy
// tokens, not names.
#pragma once

#include <string>

#include "learn/world/world.h"

namespace varve {

std::string vocabulary_text(const world::World& world, uint64_t items);

}  // namespace varve

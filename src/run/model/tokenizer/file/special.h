// What a vocabulary's well-known spellings say about it, where the file itself is silent.
#pragma once

#include "run/model/tokenizer/vocabulary.h"

namespace varve {

// Fills eot and end_of_generation, after bos, eos and eot were read. Tokens that end a turn by their spelling
// become control tokens, so that no text from outside can end a turn.
void find_ends(Vocabulary& vocabulary);

}  // namespace varve

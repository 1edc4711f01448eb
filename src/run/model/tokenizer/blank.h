// Vocabularies that write a space as U+2581 and a missing character as bytes, <0x0A>.
#pragma once

#include <string>
#include <string_view>

#include "run/model/tokenizer/vocabulary.h"

namespace varve {

std::string with_blanks(std::string_view text, SpacePrefix prefix);
// The bytes that the tokens of such a vocabulary stand for.
StringTable blank_pieces(const Vocabulary& vocabulary);

// Where the first U+2581 after another character stands; the size when there is none.
size_t next_word(std::string_view text);

// The beginning of a word, so long that no word takes much working space; cut between characters.
std::string_view bounded(std::string_view word);

}  // namespace varve

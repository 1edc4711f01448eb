// Overlap: which recalled words an answer repeats. Such an answer is derived from them: it goes when they are
// erased, and nothing in it is learnt a second time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

// True when `answer` has a word of at least five letters (or two characters of a script without spaces) from
// `recalled` that `user` did not say.
bool repeats(std::string_view answer, std::string_view recalled, std::string_view user);
// For each of `texts` the places in `others` of the `most` that are most like it, the likest first: by the
// words of both, those counting most that few of all have (Jaccard's index, weighted). Of two alike the one
// that stands first.
std::vector<std::vector<size_t>> most_alike(const std::vector<std::string>& texts,
                                            const std::vector<std::string>& others, size_t most);
// True when every word of `text` stands in `recalled` in the same order: nothing new is said.
bool says_nothing_new(std::string_view text, std::string_view recalled);

}  // namespace varve

// The Porter stemmer (Porter 1980, "An algorithm for suffix stripping"): English word forms to one stem.
#pragma once

#include <string>

namespace varve {

// `word`: lower-case ASCII letters. Anything else is returned as it is.
std::string porter_stem(std::string word);

}  // namespace varve

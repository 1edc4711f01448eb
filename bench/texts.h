// Sentences of real text, for figures that synthetic vectors would flatter: every JSON file below a folder,
// every string in it.
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"

namespace varve::bench {

struct Texts {
  std::vector<std::string> sentences, questions;  // each once, in the order of the files

  // As many different ones as wanted: first the sentences as they are, then each with one that stands near.
  std::string memory(int64_t number) const;
};

// Of folders below `root`; not_found when there is none of them.
Result<Texts> read_texts(const std::string& root, const std::vector<std::string>& folders);

}  // namespace varve::bench

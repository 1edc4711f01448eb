// Playbook: strategies as cubes, and how much use each was. A use is a line in the journal of the store, not
// a number in the text: it can be counted, explained, and it derives from nothing that is forgotten.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memory/reflect/derive.h"

namespace varve {

struct Uses {
  int32_t used = 0, helped = 0;
};
Result<Uses> usage_of(const CubeStore& cubes, const Principal& who, CubeId id);

// One use, as an operation: makes it stronger or weaker.
MemoryOp used(CubeId id, bool helped);
// The same from outside, by a person or program who saw the outcome; archives what is then not worth keeping.
// invalid: the cube is no strategy.
Status feedback(CubeStore& cubes, const Principal& who, CubeId id, bool helped);

struct Worth {
  int32_t trials = 5;  // uses before a judgement
  double least = 0.5;  // share of them that helped
};

// What an answer could see of this kind, then the likest others: the strategies that a question shows.
Result<std::vector<Unit>> shown(const Principal& who, const Turn& turn, const Known& known,
                                std::string_view kind, size_t most);
// The verdicts of a writer on shown strategies, as operations: uses counted (only of those that the answer
// could see), and those that no longer help archived.
Result<std::vector<MemoryOp>> judged(const Principal& who, const Turn& turn, const Known& known,
                                     const std::vector<Unit>& strategies, const Json& helped,
                                     const Worth& worth);

Json as_material(const std::vector<Unit>& strategies, std::string_view name);

}  // namespace varve

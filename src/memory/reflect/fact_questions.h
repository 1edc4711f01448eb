// The two questions of fact keeping: which facts an exchange holds, and what each is beside the known ones.
// They stand apart from the method, because the embedded model is trained on the very same words.
#pragma once

#include <string>
#include <vector>

#include "memory/reflect/ask.h"

namespace varve {

constexpr size_t kMaxFactBytes = 500;

// `exchange`: as exchange_of() writes it. The answer: {"facts": ["..."]}.
Inquiry facts_question(Json exchange, int most);
// The answer: {"decisions": [{"fact": 0, "target": -1, "action": "add" | "update" | "keep"}]}. The target
// comes first: what is to be done follows from the fact that it names. Each new fact stands with the known
// ones that share most of its words, so that the Writer compares neighbours and searches nothing.
Inquiry decisions_question(const std::vector<std::string>& facts, const std::vector<std::string>& known);

}  // namespace varve

// Statements: a fact in somebody's words, and as the line of memory that it becomes.
#pragma once

#include <string>

#include "learn/world/scene.h"
#include "memory/recall/present.h"

namespace varve::world {

Filling filling(const Scene& scene, const Fact& fact, const Subject& subject, Voice voice);
// The one form in which facts are answered and extracted: "The user lives in Rome". Dates are written out.
std::string canonical(const Scene& scene, const Fact& fact, Voice voice);
std::string canonical(const Scene& scene, const Fact& fact, const Subject& subject, Voice voice);
// Said freely; days near the saying are "today", "yesterday", "tomorrow". No capital, no full stop.
std::string stated(Scene& scene, const Fact& fact, Voice voice);
// A whole message that tells it, sometimes with something else around it.
std::string told(Scene& scene, const Fact& fact);

// `frame` with `{slot}` filled; a sentence that begins there gets its capital.
std::string framed(std::string_view frame, std::string_view slot, std::string sentence);

// The fact as recall gives it back: a turn of the user, of the person it is about or of the assistant, an
// extracted fact or a note.
Recalled remembered(Scene& scene, const Fact& fact);
Recalled turn_of(Scene& scene, std::string speaker, std::string text, TimeMs said);
// The newest user message: what was recalled, as a session writes it, then the words.
std::string with_memories(const std::vector<Recalled>& recalled, const std::string& words);

}  // namespace varve::world

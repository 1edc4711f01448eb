// Derive: what the methods share. Operations that name their sources, what is already known of a kind, and
// the signals that need no model: key words, sentences, likeness.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/format/json.h"
#include "memory/reflect/reflector.h"

namespace varve {

// The turn's cubes; what it is all derived from.
std::vector<Source> evidence_of(const Turn& turn);
// "Caroline: I moved.\nassistant: When?": what was said, without words that were recalled. Cut at `bytes`.
std::string words_of(const Turn& turn, size_t bytes = 8000);
// The same for a prompt: {"date", "user" or the person's name, "assistant"}.
Json exchange_of(const Turn& turn, size_t bytes = 8000);

// A new cube from this turn's evidence, at the turn's time, in its space and session, trusted as a model. Its
// origin, by which all_of() finds it, is its kind, or "kind/key".
MemoryOp derived(const Turn& turn, std::string_view kind, std::string text, std::string_view key = "");
// A new version of `old`, caused by this turn.
MemoryOp revised(const Turn& turn, const CubeHeader& old, std::string text);
// A link is a cube without words whose sources are its two ends: erasing either erases it, and
// CubeStore::derived() walks it. `a` is an earlier operation of the plan.
MemoryOp link(const Turn& turn, std::string_view kind, int32_t a, CubeId b);
MemoryOp archived(CubeId id, std::string why);

struct Unit {  // something derived earlier
  CubeHeader header;
  std::string text;
  double likeness = 0;  // to what was asked for, -1..1
};
// The k likest active cubes of this kind in the turn's space, from among those that recall finds.
Result<std::vector<Unit>> nearest(const Principal& who, const Turn& turn, const Known& known,
                                  std::string_view text, std::string_view kind, size_t k);
// Active cubes of this origin in the turn's space, oldest first; of one session unless it is empty.
Result<std::vector<CubeHeader>> all_of(const Principal& who, const Turn& turn, const Known& known,
                                       std::string_view origin, std::string_view session = "");
// The newest of them with its words, if there is one.
Result<std::optional<Unit>> newest_of(const Principal& who, const Turn& turn, const Known& known,
                                      std::string_view origin, std::string_view session = "");

// A vector of length 1: the embedder's, else of hashed terms. All zero when there is nothing to tell by.
Result<std::vector<float>> signature(std::string_view text, const Embedder* embedder);
double cosine(const std::vector<float>& a, const std::vector<float>& b);

// The words said most often, longest first where they tie; no stop words, nothing shorter than 3 letters.
std::vector<std::string> key_words(std::string_view text, size_t most);
std::vector<std::string> sentences(std::string_view text);  // trimmed, whole
// At most `bytes` of whole sentences out of `texts`, the densest in words that occur in them often, in their
// own order: a summary that needs no model.
std::string digest(const std::vector<std::string>& sentences, size_t bytes);
std::string joined(const std::vector<std::string>& words, std::string_view between);
std::string clipped(std::string_view text, size_t bytes);  // whole characters

// "Label: a, b" in a cube's text.
std::string line_after(std::string_view text, std::string_view label);
std::vector<std::string> words_after(std::string_view text, std::string_view label);

}  // namespace varve

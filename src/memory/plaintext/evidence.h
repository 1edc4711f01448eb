// Evidence: what was said or read, as drafts for the store. Nothing is interpreted here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/cube/cube_store.h"

namespace varve {

struct Utterance {
  std::string session;
  int32_t turn = 0;
  std::string speaker;  // "user", "assistant", or a person's name
  std::string text;
  std::optional<TimeMs> event;  // when it was said, if that is not now
};
CubeDraft turn_draft(Utterance said,
                     std::string space = "");  // what the assistant said is trusted as a model

// Something to remember that nobody said in a conversation.
CubeDraft note_draft(std::string text, std::string space = "", std::optional<TimeMs> event = {});

struct Document {
  std::string title, text, space;
  std::optional<TimeMs> event;
  Trust trust = Trust::outside;  // a file is nobody's word
};
// The document whole, kept but not recalled, and its passages, derived from it and recalled: one plan.
std::vector<MemoryOp> document_ops(Document document, size_t passage_bytes = 1200);

// Cuts text into passages of at most `most_bytes` (at least 16), without a gap: at the end of a paragraph if
// one lies in the second half, else of a sentence, else of a word, else between two characters.
std::vector<std::string_view> split_passages(std::string_view text, size_t most_bytes);

}  // namespace varve

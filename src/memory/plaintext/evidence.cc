#include "memory/plaintext/evidence.h"

#include "core/base/check.h"

namespace varve {
namespace {

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Where to cut: after the last `mark` whose end lies in (from, to], or 0.
size_t cut_after(std::string_view text, std::string_view mark, size_t from, size_t to) {
  if (to < mark.size()) return 0;
  const size_t at = text.substr(0, to).rfind(mark);
  return at == std::string_view::npos || at + mark.size() <= from ? 0 : at + mark.size();
}

size_t passage_end(std::string_view text, size_t most) {
  if (text.size() <= most) return text.size();
  for (const std::string_view mark : {"\n\n", "\n", ". ", "? ", "! ", "\u3002", " "}) {
    if (const size_t end = cut_after(text, mark, mark == " " ? 0 : most / 2, most)) return end;
  }
  size_t end = most;
  while (end > most - 4 && (uint8_t(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return end;
}

// At most `bytes`, whole characters.
std::string clipped(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (uint8_t(text[bytes]) & 0xC0) == 0x80) --bytes;
  return std::string(text.substr(0, bytes));
}

}  // namespace

CubeDraft turn_draft(Utterance said, std::string space) {
  CubeDraft draft;
  CubeHeader& h = draft.header;
  h.kind = "turn";
  h.space = std::move(space);
  h.session = std::move(said.session);
  h.turn = said.turn;
  h.trust = said.speaker == "assistant" ? Trust::model : Trust::user;
  h.speaker = std::move(said.speaker);
  h.event = said.event;
  draft.payload = std::move(said.text);
  return draft;
}

CubeDraft note_draft(std::string text, std::string space, std::optional<TimeMs> event) {
  CubeDraft draft;
  draft.header.kind = "note";
  draft.header.space = std::move(space);
  draft.header.speaker = "user";
  draft.header.event = event;
  draft.payload = std::move(text);
  return draft;
}

std::vector<MemoryOp> document_ops(Document document, size_t passage_bytes) {
  const std::string title = clipped(document.title, kMaxTitleBytes - 32);
  MemoryOp whole;
  CubeHeader& h = whole.draft.header;
  h.kind = "document";
  h.life = Life::archived;
  h.space = document.space;
  h.title = title;
  h.event = document.event;
  h.trust = document.trust;
  std::vector<MemoryOp> ops;
  const auto passages = split_passages(document.text, passage_bytes);
  for (size_t i = 0; i < passages.size(); ++i) {
    if (blank(passages[i])) continue;
    MemoryOp& op = ops.emplace_back(whole);
    op.draft.header.kind = "passage";
    op.draft.header.life = Life::active;
    op.draft.header.title =
        title + " (" + std::to_string(i + 1) + "/" + std::to_string(passages.size()) + ")";
    op.draft.header.turn = int32_t(i + 1);
    op.draft.payload = std::string(passages[i]);
    op.from_ops = {0};
  }
  whole.draft.payload = std::move(document.text);
  ops.insert(ops.begin(), std::move(whole));
  return ops;
}

std::vector<std::string_view> split_passages(std::string_view text, size_t most_bytes) {
  CHECK(most_bytes >= 16, "a passage holds at least a few characters");
  std::vector<std::string_view> passages;
  while (!text.empty()) {
    const size_t end = passage_end(text, most_bytes);
    passages.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return passages;
}

}  // namespace varve

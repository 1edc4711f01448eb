// Varve's own JSONL: a memory as the API shows it, one a line, with "text" and, when it was revised, its
// earlier versions under "earlier". A line that somebody wrote needs no more than a "text".
#include "core/base/hash.h"
#include "serve/home/fields.h"
#include "serve/home/show.h"
#include "serve/transfer/record.h"

namespace varve {
namespace {

constexpr size_t kMaxEarlier = 10000;

Status read_fields(const Json& piece, CubeDraft& draft) {
  CubeHeader& h = draft.header;
  std::string life, trust;
  TRY(Fields(piece)
          .text("text", draft.payload, kMaxPlaintextBytes)
          .text("kind", h.kind, kMaxNameBytes)
          .text("title", h.title, kMaxTitleBytes)
          .text("session", h.session, kMaxNameBytes)
          .integer("turn", h.turn, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max())
          .text("speaker", h.speaker, kMaxNameBytes)
          .text("life", life, 16)
          .text("trust", trust, 16)
          .text("why", h.why, kMaxWhyBytes)
          .done());
  if (!life.empty()) h.life = TRY(parse_life(life));
  if (!trust.empty()) h.trust = TRY(parse_trust(trust));
  if (piece["strength"].is_number()) h.strength = piece["strength"].as_double();
  TRY(read_time(piece, "recorded_at", h.event));  // the day it was learnt, unless it says when it happened
  TRY(read_time(piece, "event_at", h.event));
  TRY(read_time(piece, "valid_from", h.valid_from));
  TRY(read_time(piece, "valid_to", h.valid_to));
  if (piece["labels"].is_object() && piece["labels"].size() > 0) h.labels = piece["labels"].dump();
  return check_words(draft.payload);
}

}  // namespace

bool is_own(const Json& piece) {
  return piece["text"].is_string() && piece["chat_messages"].is_null();
}

Result<std::vector<Record>> read_own(const Json& piece) {
  Record record;
  CubeHeader& header = record.draft.header;
  header.kind = "note";
  TRY(read_fields(piece, record.draft));
  const std::string id = text_at(piece, "id");
  const bool cube = CubeId::parse(id).ok();
  header.origin = cube ? "cube:" + id : origin_of("jsonl", "sha256-" + sha256(piece.dump()).hex());
  if (piece["from"].is_array()) {
    for (const Json& source : piece["from"].as_array()) {
      const std::string parent = text_at(source, "id");
      if (CubeId::parse(parent).ok()) record.from.push_back("cube:" + parent);
    }
  }
  if (piece["earlier"].is_array() && piece["earlier"].size() <= kMaxEarlier) {
    for (const Json& version : piece["earlier"].as_array()) {
      CubeDraft draft;
      draft.header.kind = header.kind;
      TRY(read_fields(version, draft));
      record.earlier.push_back(std::move(draft));
    }
  }
  return std::vector{std::move(record)};
}

}  // namespace varve

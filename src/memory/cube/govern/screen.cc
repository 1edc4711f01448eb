// What the rules of a space say of secrets and personal words, held before anything is stored or indexed.
#include "memory/cube/screen/sensitive.h"
#include "memory/cube/store/change.h"

namespace varve {
namespace {

Status screen_text(std::string_view what, std::string& text, const SpaceRules& rules) {
  const std::pair<Screen, bool> passes[] = {{rules.secrets, true}, {rules.personal, false}};
  for (const auto& [screen, secrets] : passes) {
    if (screen == Screen::allow) continue;
    const auto found = find_sensitive(text, secrets, !secrets);
    if (found.empty()) continue;
    if (screen == Screen::refuse) {
      return Status(Code::denied, std::string(what) + " holds what looks like a " +
                                      std::string(found[0].kind) + " at byte " +
                                      std::to_string(found[0].begin) +
                                      "; the rules of the space refuse that, and nothing was stored");
    }
    text = redacted(text, found);
  }
  return {};
}

}  // namespace

Status Change::screen(CubeDraft& draft) {
  CubeHeader& h = draft.header;
  const SpaceRules rules = TRY(read_rules(*db_, h.space));
  if (rules.cap_bytes > 0) grown_[h.space] += int64_t(draft.payload.size());
  if (rules.secrets == Screen::allow && rules.personal == Screen::allow) return {};
  if (h.form == Form::plaintext) TRY(screen_text("the text", draft.payload, rules));
  TRY(screen_text("the title", h.title, rules));
  TRY(screen_text("the speaker", h.speaker, rules));
  TRY(screen_text("the reason", h.why, rules));
  TRY(screen_text("the labels", h.labels, rules));
  return check_draft(draft);  // a mark may be longer than what it stands for
}

}  // namespace varve

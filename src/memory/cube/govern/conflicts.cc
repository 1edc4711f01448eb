// Facts that cannot be true together: both are kept, the one that held from later on is valid, the other is
// closed. What is believed less closes nothing: both stand until somebody settles it.
#include "memory/cube/store/change.h"

namespace varve {
namespace {

enum Kind : int { superseded = 0, contested = 1, open = 2 };  // supersedes.verdict

TimeMs start_of(const CubeHeader& h) {
  return h.valid_from ? *h.valid_from : h.event.value_or(h.recorded);
}

}  // namespace

Status Change::supersede(const CubeHeader& newer) {
  for (const CubeId& id : newer.supersedes) {
    CubeState older = TRY(living(id));
    if (older.id == newer.id) return Status(Code::invalid, "a cube does not supersede itself");
    const bool believed = newer.trust >= std::min(TRY(view_.rows().header(older)).trust, Trust::model);
    TRY(db_->run("INSERT OR IGNORE INTO supersedes VALUES(?, ?, ?)", newer.id.bytes, id.bytes,
                 int64_t(believed ? superseded : open)));
    if (believed) TRY(close(std::move(older), start_of(newer), newer.id));
  }
  return {};
}

Status Change::contradict(const CubeHeader& newer) {
  for (const CubeId& id : newer.contradicts) TRY(contradict(newer, TRY(living(id))));
  return {};
}

Status Change::contradict(const CubeHeader& said, CubeState other) {
  if (other.id == said.id) return Status(Code::invalid, "a cube does not contradict itself");
  const CubeHeader known = TRY(view_.rows().header(other));
  const bool later = start_of(said) >= start_of(known);
  CubeState first = later ? std::move(other) : TRY(living(said.id));
  const CubeHeader& last = later ? said : known;
  const Trust least = std::min(later ? known.trust : said.trust, Trust::model);
  const bool believed = last.trust >= least;
  TRY(db_->run("INSERT OR REPLACE INTO supersedes VALUES(?, ?, ?)", last.id.bytes, first.id.bytes,
               int64_t(believed ? contested : open)));
  return believed ? close(std::move(first), start_of(last), last.id) : Status();
}

Status Change::settle(CubeId newer, CubeId older, Verdict verdict, std::string_view why) {
  TRY(check_text("the reason", why, kMaxWhyBytes));
  CubeState last = TRY(living(newer)), first = TRY(living(older));
  const auto kind = TRY(
      db_->number("SELECT verdict FROM supersedes WHERE newer = ? AND older = ?", newer.bytes, older.bytes));
  if (kind.value_or(superseded) == superseded) {
    return Status(Code::not_found, "no conflict of " + newer.text() + " with " + older.text() + " is open");
  }
  if (verdict == Verdict::newer) {
    TRY(db_->run("UPDATE supersedes SET verdict = 0 WHERE newer = ? AND older = ?", newer.bytes,
                 older.bytes));
    TRY(close(std::move(first), start_of(TRY(view_.rows().header(last))), newer));
    return note("settle", last, why);
  }
  TRY(db_->run("DELETE FROM supersedes WHERE newer = ? AND older = ?", newer.bytes, older.bytes));
  const bool other = TRY(db_->number("SELECT 1 FROM supersedes WHERE older = ? AND verdict < 2", older.bytes))
                         .has_value();  // something else took its place, too
  if (!other) TRY(reopen(std::move(first), why));
  TRY(note("settle", last, why));
  if (verdict == Verdict::both) return {};
  return advance(newer, Life::expired, why, start_of(TRY(view_.rows().header(last))));  // it never held
}

}  // namespace varve

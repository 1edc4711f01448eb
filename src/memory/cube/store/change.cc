#include "memory/cube/store/change.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

constexpr double kMaxStrength = 1e6;

uint64_t milliseconds(const CubeId& id) {
  uint64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = ms << 8 | id.bytes[i];
  return ms;
}

}  // namespace

Result<Change> Change::begin(sql::Database& database, Blobs& blobs, const Principal& who, TimeMs now,
                             CubeId last) {
  View view = TRY(View::open(database, blobs, who));
  Journal journal = TRY(Journal::tail(database));
  Change change(database, blobs, std::move(view), std::move(journal), who);
  change.now_ = now;
  change.last_ = last;
  return change;
}

// Ids sort by age even when the clock stands still or goes back: within a millisecond, and below the newest
// id, the next one is the last plus a random step of up to 2^56, so it still cannot be guessed.
CubeId Change::next_id() {
  CubeId id = CubeId::make(now_);
  if (milliseconds(id) <= milliseconds(last_)) {
    const CubeId step = id;
    id = last_;
    unsigned carry = 1;
    for (int i = 15; i >= 0; --i) {
      carry += id.bytes[i] + (i >= 9 ? unsigned(step.bytes[i]) : 0u);
      id.bytes[i] = uint8_t(carry);
      carry >>= 8;
    }
  }
  return last_ = id;
}

Status Change::note(std::string_view action, const CubeState& state, std::string_view why, bool changed) {
  JournalRow row;
  row.entry = {.time = now_,
               .principal = who_.name,
               .agent = who_.agent,
               .action = std::string(action),
               .cube = state.id,
               .version = state.version,
               .space = state.space,
               .why = std::string(why)};
  if (changed) row.life = state.life;
  if (changed && state.life == Life::expired) row.ended = state.ended;
  return journal_.add(std::move(row));
}

Status Change::note_space(std::string_view action, std::string_view space, std::string detail) {
  JournalRow row;
  row.entry = {.time = now_, .principal = who_.name, .agent = who_.agent, .action = std::string(action)};
  row.entry.space = space;
  row.entry.detail = std::move(detail);
  return journal_.add(std::move(row));
}

Status Change::save(const CubeState& state) {
  TRY(view_.rows().save(state));
  events_.push_back({.header = {.id = state.id}});
  return {};
}

Result<CubeState> Change::living(CubeId id) {
  CubeState state = TRY(view_.find(id, Right::write));
  if (!state.sound) return damaged(id, "its state");
  if (state.life == Life::erased) return Status(Code::not_found, "cube " + id.text() + " was erased");
  return state;
}

// Sources must be there and seen; the trust of what is derived is at most the lowest of theirs, and what an
// agent writes is at most a model's word.
Status Change::settle_sources(CubeHeader& h) {
  if (!who_.agent.empty()) h.trust = std::min(h.trust, Trust::model);
  for (Source& source : h.from) {
    const CubeState state = TRY(view_.find(source.cube));
    if (state.life == Life::erased)
      return Status(Code::not_found, "cube " + source.cube.text() + " was erased");
    if (source.cube == h.id) return Status(Code::invalid, "a cube is not its own source");
    if (source.version == 0) source.version = state.version;
    if (source.version > state.version) return no_version(source.cube, source.version);
    h.trust = std::min(h.trust, TRY(view_.rows().header(state, source.version)).trust);
  }
  std::sort(h.from.begin(), h.from.end());
  h.from.erase(std::unique(h.from.begin(), h.from.end()), h.from.end());
  return {};
}

Status Change::store_payload(CubeHeader& h, const std::string& payload) {
  h.payload_bytes = int64_t(payload.size());
  h.payload_hash = sha256(payload);
  if (payload.size() <= kInlineBytes) return {};
  touched_blobs_.push_back(h.payload_hash);
  return store_->write(h.payload_hash, payload);
}

Result<CubeId> Change::add(CubeDraft draft) {
  TRY(check_draft(draft));
  CubeHeader& h = draft.header;
  if (h.space.empty()) h.space = who_.name;
  TRY(view_.rights().need(Right::write, h.space));
  if (!view_.rights().knows(h.space)) TRY(save_rules(*db_, h.space, {}));  // the first of its owner's space
  if (h.session.empty()) h.session = view_.rights().session();
  if (!view_.rights().reaches(h.session))
    return Status(Code::denied, "you may write in session " + view_.rights().session() + " only");
  h.id = next_id();
  h.version = 1;
  h.owner = who_.name;
  h.recorded = now_;
  h.relearn = false;
  if (!(h.supersedes.empty() && h.contradicts.empty()) && !h.valid_from)
    h.valid_from = h.event.value_or(h.recorded);
  TRY(settle_sources(h));
  TRY(screen(draft));
  TRY(store_payload(h, draft.payload));
  const CubeState state{.id = h.id,
                        .version = 1,
                        .form = h.form,
                        .life = h.life,
                        .kind = h.kind,
                        .owner = h.owner,
                        .space = h.space,
                        .session = h.session,
                        .origin = h.origin,
                        .strength = h.strength};
  TRY(save(state));
  TRY(view_.rows().add_version(h, draft.payload));
  TRY(note("put", state, h.why, true));
  TRY(supersede(h));
  TRY(contradict(h));
  return h.id;
}

Result<uint32_t> Change::revise(CubeId id, uint32_t base_version, CubeDraft draft) {
  CubeState state = TRY(living(id));
  CubeHeader& h = draft.header;
  if (is_evidence(state.kind)) {
    return Status(Code::denied, "a " + state.kind +
                                    " is evidence and is never rewritten; add a cube that says "
                                    "better, expire it, or erase it");
  }
  if (h.kind.empty()) h.kind = state.kind;
  if (h.space.empty()) h.space = state.space;
  if (h.kind != state.kind || h.space != state.space || h.form != state.form || !h.supersedes.empty()) {
    return Status(Code::invalid,
                  "a new version keeps the kind, form and space of its cube, and supersedes nothing");
  }
  TRY(check_draft(draft));
  if (base_version != 0 && base_version != state.version) {
    return Status(Code::conflict, "cube " + id.text() + " is at version " + std::to_string(state.version) +
                                      " now, not at " + std::to_string(base_version));
  }
  return add_version(std::move(state), std::move(draft));
}

// Trust is that of the whole lineage: a new version cannot be believed more than the one before.
Result<uint32_t> Change::add_version(CubeState state, CubeDraft draft) {
  CubeHeader& h = draft.header;
  h.trust = std::min(h.trust, TRY(view_.rows().header(state)).trust);
  h.id = state.id;
  h.version = ++state.version;
  h.recorded = now_;
  state.relearn = false;
  TRY(settle_sources(h));
  TRY(screen(draft));
  TRY(store_payload(h, draft.payload));
  TRY(save(state));
  TRY(view_.rows().add_version(h, draft.payload));
  TRY(note("revise", state, h.why));
  return h.version;
}

Status Change::advance(CubeId id, Life to, std::string_view why, std::optional<TimeMs> ended) {
  TRY(check_text("the reason", why, kMaxWhyBytes));
  if (to == Life::erased) return Status(Code::invalid, "erasing has a call of its own");
  CubeState state = TRY(living(id));
  if (state.relearn && to == Life::active) {
    return Status(Code::denied, "cube " + id.text() +
                                    " learnt from something that was erased: give it a version that did not");
  }
  if (to != Life::expired) {
    state.ended.reset();
  } else if (state.life != Life::expired || ended) {
    state.ended = ended.value_or(now_);
  }
  state.life = to;
  state.life_before.reset();  // said on purpose: no longer the business of what superseded it
  TRY(save(state));
  return note(to_string(to), state, why, true);
}

Status Change::strengthen(CubeId id, double by, std::string_view why) {
  TRY(check_text("the reason", why, kMaxWhyBytes));
  if (!std::isfinite(by)) return Status(Code::invalid, "a strength is added as a finite number");
  CubeState state = TRY(living(id));
  state.strength = std::clamp(state.strength + by, 0.0, kMaxStrength);
  state.used = now_;
  TRY(save(state));
  return note("strengthen", state, why);
}

// Another cube takes its place from `ended` on.
Status Change::close(CubeState state, TimeMs ended, CubeId by) {
  if (state.life == Life::expired) return {};
  state.life_before = state.life;
  state.life = Life::expired;
  state.ended = ended;
  TRY(save(state));
  return note("supersede", state, "by " + by.text(), true);
}

// What it was before another cube took its place.
Status Change::reopen(CubeState state, std::string_view why) {
  if (!state.sound || !state.life_before) return {};
  state.life = *state.life_before;
  state.life_before.reset();
  state.ended.reset();
  TRY(save(state));
  return note("restore", state, why, true);
}

Result<CubeId> Change::apply(MemoryOp op) {
  using Kind = MemoryOp::Kind;
  if (!op.why.empty()) op.draft.header.why = op.why;
  switch (op.kind) {
    case Kind::add: return add(std::move(op.draft));
    case Kind::revise: TRY(revise(op.target, op.base_version, std::move(op.draft))); break;
    case Kind::expire: TRY(advance(op.target, Life::expired, op.why, op.draft.header.valid_to)); break;
    case Kind::strengthen: TRY(strengthen(op.target, op.strength, op.why)); break;
    case Kind::erase: TRY(erase(op.target)); break;
    case Kind::archive: TRY(advance(op.target, Life::archived, op.why)); break;
  }
  return op.target;
}

}  // namespace varve

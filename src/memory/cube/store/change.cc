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

Status no_version(CubeId id, uint32_t version) {
  return Status(Code::invalid, "cube " + id.text() + " has no version " + std::to_string(version));
}

}  // namespace

Result<Change> Change::begin(sql::Database& database, Blobs& blobs, const Principal& who, TimeMs now,
                             CubeId last) {
  Change change(database, blobs, TRY(View::open(database, blobs, who)), who, now, last);
  change.sequence_ = TRY(database.number("SELECT max(sequence) FROM journal")).value_or(0);
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

Status Change::note(std::string_view action, CubeId id, uint32_t version, std::string_view why) {
  return db_->run("INSERT INTO journal VALUES(?, ?, ?, ?, ?, ?, ?)", ++sequence_, now_, who_.name, action,
                  id.bytes, version, why);
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

// Sources must be there and seen; the trust of what is derived is at most the lowest of theirs.
Status Change::settle_sources(CubeHeader& h) {
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
  if (!view_.rights().may(Right::write, h.space)) {
    if (view_.rights().may(Right::read, h.space)) {
      return Status(Code::denied, "you may read space " + h.space + ", but not write to it");
    }
    return Status(Code::not_found, "there is no space " + h.space + " that you may write to");
  }
  h.id = next_id();
  h.version = 1;
  h.owner = who_.name;
  h.recorded = now_;
  TRY(settle_sources(h));
  TRY(store_payload(h, draft.payload));
  TRY(save({.id = h.id,
            .version = 1,
            .form = h.form,
            .life = h.life,
            .kind = h.kind,
            .owner = h.owner,
            .space = h.space,
            .session = h.session,
            .origin = h.origin,
            .strength = h.strength}));
  TRY(view_.rows().add_version(h, draft.payload));
  TRY(supersede(h));
  TRY(note("put", h.id, 1, h.why));
  return h.id;
}

Status Change::supersede(const CubeHeader& newer) {
  for (const CubeId& id : newer.supersedes) {
    CubeState older = TRY(living(id));
    if (older.id == newer.id) return Status(Code::invalid, "a cube does not supersede itself");
    TRY(db_->run("INSERT OR IGNORE INTO supersedes VALUES(?, ?)", newer.id.bytes, id.bytes));
    if (older.life == Life::expired) continue;
    older.life_before = older.life;
    older.life = Life::expired;
    older.ended = newer.valid_from ? newer.valid_from : newer.event ? newer.event : newer.recorded;
    TRY(save(older));
    TRY(note("supersede", id, older.version, "by " + newer.id.text()));
  }
  return {};
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
  h.id = id;
  h.version = ++state.version;
  h.recorded = now_;
  TRY(settle_sources(h));
  TRY(store_payload(h, draft.payload));
  TRY(save(state));
  TRY(view_.rows().add_version(h, draft.payload));
  TRY(note("revise", id, h.version, h.why));
  return h.version;
}

Status Change::advance(CubeId id, Life to, std::string_view why, std::optional<TimeMs> ended) {
  TRY(check_text("the reason", why, kMaxWhyBytes));
  if (to == Life::erased) return Status(Code::invalid, "erasing has a call of its own");
  CubeState state = TRY(living(id));
  if (to != Life::expired) {
    state.ended.reset();
  } else if (state.life != Life::expired || ended) {
    state.ended = ended.value_or(now_);
  }
  state.life = to;
  state.life_before.reset();  // said on purpose: no longer the business of what superseded it
  TRY(save(state));
  return note(to_string(to), id, state.version, why);
}

Status Change::strengthen(CubeId id, double by, std::string_view why) {
  TRY(check_text("the reason", why, kMaxWhyBytes));
  if (!std::isfinite(by)) return Status(Code::invalid, "a strength is added as a finite number");
  CubeState state = TRY(living(id));
  state.strength = std::clamp(state.strength + by, 0.0, kMaxStrength);
  TRY(save(state));
  return note("strengthen", id, state.version, why);
}

Status Change::grant(const std::string& space, const std::string& principal, uint8_t rights) {
  TRY(check_name("a space", space));
  TRY(check_name("a principal", principal));
  if (rights > 7) return Status(Code::invalid, "rights are read 1, write 2, admin 4, or their sum");
  if (!view_.rights().may(Right::admin, space)) {
    if (view_.rights().may(Right::read, space)) {
      return Status(Code::denied, "only an admin of space " + space + " grants rights in it");
    }
    return Status(Code::not_found, "there is no space " + space + " that you may read");
  }
  TRY(Rights::save(*db_, principal, space, rights));
  return note("grant", CubeId{}, 0, space + " to " + principal + ": " + std::to_string(rights));
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

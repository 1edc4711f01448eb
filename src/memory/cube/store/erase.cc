// Erasing: the cube and all that was derived from it lose their words; what they had superseded is valid
// again.
#include <set>

#include "memory/cube/store/change.h"

namespace varve {

// The cube and everything derived from it, each once, sources before what came of them.
Result<std::vector<CubeState>> Change::closure(CubeId root) {
  std::vector<CubeState> found;
  std::set<CubeId> seen{root};
  std::vector<CubeId> next{root};
  for (size_t i = 0; i < next.size(); ++i) {
    auto state = TRY(view_.rows().state(next[i]));
    if (!state || state->life == Life::erased) continue;
    found.push_back(std::move(*state));
    for (const CubeId& child :
         TRY(view_.rows().ids("SELECT DISTINCT child FROM edges WHERE parent = ?", next[i]))) {
      if (seen.insert(child).second) next.push_back(child);
    }
  }
  return found;
}

// What was derived from other sources, too, can be derived again without the one that goes: its words go now,
// and what it may be derived from is kept for a reflector.
Status Change::ask_rebuild(const CubeState& lost, const std::set<CubeId>& gone, EraseReceipt& receipt) {
  if (lost.form != Form::plaintext || is_evidence(lost.kind)) return {};
  bool some = false;
  for (const CubeId& source :
       TRY(view_.rows().ids("SELECT DISTINCT parent FROM edges WHERE child = ?", lost.id))) {
    const auto state = TRY(view_.rows().state(source));
    if (gone.contains(source) || !state || state->life == Life::erased) continue;
    TRY(db_->run("INSERT OR IGNORE INTO rebuilds VALUES(?, ?)", lost.id.bytes, source.bytes));
    some = true;
  }
  if (some && view_.sees(lost)) receipt.rebuild.push_back(lost.id);
  return {};
}

// What a doomed cube had superseded passes to those who superseded the doomed cube, or is valid again.
Status Change::give_back(const std::vector<CubeState>& doomed, const std::set<CubeId>& gone,
                         EraseReceipt& receipt) {
  std::set<CubeId> older;
  for (const CubeState& state : doomed) {
    for (const CubeId& id :
         TRY(view_.rows().ids("SELECT older FROM supersedes WHERE newer = ? AND verdict < 2", state.id))) {
      if (!gone.contains(id)) older.insert(id);
    }
  }
  for (const CubeId& id : older) {
    std::set<CubeId> heirs, seen{id};
    std::vector<CubeId> climb{id};
    for (size_t i = 0; i < climb.size(); ++i) {
      for (const CubeId& up :
           TRY(view_.rows().ids("SELECT newer FROM supersedes WHERE older = ? AND verdict < 2", climb[i]))) {
        if (!seen.insert(up).second) continue;
        if (gone.contains(up)) {
          climb.push_back(up);
        } else {
          heirs.insert(up);
        }
      }
    }
    for (const CubeId& heir : heirs) {
      TRY(db_->run("INSERT OR IGNORE INTO supersedes(newer, older) VALUES(?, ?)", heir.bytes, id.bytes));
    }
    auto state = TRY(view_.rows().state(id));
    if (!heirs.empty() || !state || !state->life_before) continue;
    if (view_.sees(*state)) receipt.restored.push_back(id);
    TRY(reopen(std::move(*state), "what superseded it was erased"));
  }
  return {};
}

Result<EraseReceipt::Item> Change::bury(CubeState state) {
  EraseReceipt::Item item{.id = state.id, .kind = state.kind, .method = "deleted"};
  item.versions =
      uint32_t(TRY(db_->number("SELECT count(*) FROM versions WHERE id = ?", state.id.bytes)).value_or(0));
  CubeHeader header;  // of a damaged cube no more is known
  header.id = state.id;
  header.version = state.version;
  if (auto whole = view_.rows().header(state); whole.ok()) header = *whole;
  item.payload_hash = header.payload_hash;
  {
    auto blob =
        TRY(db_->query("SELECT payload_hash FROM versions WHERE id = ? AND place = 1", state.id.bytes));
    while (TRY(blob.step())) {
      if (blob.view(0).size() == 32)
        std::memcpy(touched_blobs_.emplace_back().bytes.data(), blob.view(0).data(), 32);
    }
  }
  TRY(view_.rows().bury(header));
  state.life = Life::erased;
  state.session.clear();
  state.origin.clear();
  state.ended.reset();
  state.life_before.reset();
  state.used.reset();
  state.relearn = false;
  state.strength = 0;
  TRY(view_.rows().save(state));
  TRY(db_->run("DELETE FROM rebuilds WHERE source = ?", state.id.bytes));
  TRY(db_->run("UPDATE journal SET why = '' WHERE cube = ? AND why <> ''", state.id.bytes));
  TRY(note("erase", state, "", true));
  events_.push_back({.header = {.id = state.id,
                                .version = state.version,
                                .form = state.form,
                                .kind = state.kind,
                                .life = Life::erased,
                                .owner = state.owner,
                                .space = state.space},
                     .erased = true});
  return item;
}

// Weights cannot be cut out of weights: they are kept, no longer used, and named until they are learnt again.
Status Change::retire(CubeState weights, EraseReceipt& receipt) {
  weights.life = Life::archived;
  weights.life_before.reset();
  weights.relearn = true;
  TRY(save(weights));
  TRY(note("archived", weights, "a source was erased: learn it again", true));
  const bool seen = view_.sees(weights);
  if (seen) {
    receipt.items.push_back(
        {.id = weights.id, .versions = weights.version, .kind = weights.kind, .method = "flagged"});
    if (auto whole = view_.rows().header(weights); whole.ok()) {
      receipt.items.back().payload_hash = whole->payload_hash;
      receipt.items.back().after = whole->payload_hash;
    }
  }
  receipt.not_reached.push_back(
      (seen ? "cube " + weights.id.text() : std::string("weights in a space you may not read")) +
      " learnt from it and cannot unlearn; archived until learnt again");
  return {};
}

// Backups that were made while a doomed cube was there hold it.
Status Change::name_backups(TimeMs since, EraseReceipt& receipt) {
  auto row =
      TRY(db_->query("SELECT time, detail FROM journal WHERE action = 'backup' AND time >= ? ORDER BY "
                     "sequence",
                     since));
  while (TRY(row.step())) {
    receipt.not_reached.push_back("the backup '" + row.text(1) + "' of " + format_time(row.integer(0)) +
                                  " holds it: delete that, or restore it and forget there");
  }
  return {};
}

Result<EraseReceipt> Change::erase(CubeId id) {
  const CubeState root = TRY(view_.find(id, Right::write));
  if (root.life == Life::erased) return Status(Code::not_found, "cube " + id.text() + " was erased");
  const std::vector<CubeState> found = TRY(closure(id));
  std::vector<CubeState> doomed;
  EraseReceipt receipt;
  for (const CubeState& state : found) {
    if (state.form == Form::parametric && state.id != id) {
      TRY(retire(state, receipt));
    } else {
      doomed.push_back(state);
    }
  }
  std::set<CubeId> gone;
  TimeMs since = now_;  // the first of them was put
  for (const CubeState& state : doomed) {
    gone.insert(state.id);
    since = std::min(
        since,
        TRY(db_->number("SELECT min(recorded) FROM versions WHERE id = ?", state.id.bytes)).value_or(0));
  }
  TRY(give_back(doomed, gone, receipt));
  std::vector<EraseReceipt::Item> items;
  for (const CubeState& state : doomed) {
    if (state.id != id) TRY(ask_rebuild(state, gone, receipt));
    auto item = TRY(bury(state));
    if (view_.sees(state)) items.push_back(std::move(item));
  }
  receipt.items.insert(receipt.items.begin(), items.begin(), items.end());
  TRY(name_backups(since, receipt));
  receipt.time = now_;
  receipt.principal = who_.name;
  receipt.entry = journal_.sequence();
  receipt.proof = journal_.hash();
  return receipt;
}

}  // namespace varve

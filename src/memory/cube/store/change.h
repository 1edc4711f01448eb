// Change: one write in progress, by one principal, inside one transaction. It checks rights and rules, edits
// the rows, and collects what the store does once the transaction is durable: tell the observer, remove dead
// blobs.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "memory/cube/govern/journal.h"
#include "memory/cube/govern/rules.h"
#include "memory/cube/store/view.h"

namespace varve {

struct Weighed {  // an active cube, as eviction sees it
  CubeId id;
  int64_t bytes = 0;
  double value = 0;  // of a byte
};

class Change {
 public:
  // `last`: the newest id of the store; new ids sort above it whatever the clock says.
  static Result<Change> begin(sql::Database& database, Blobs& blobs, const Principal& who, TimeMs now,
                              CubeId last);

  Result<CubeId> add(CubeDraft draft);
  Result<uint32_t> revise(CubeId id, uint32_t base_version, CubeDraft draft);
  Status advance(CubeId id, Life to, std::string_view why, std::optional<TimeMs> ended = {});
  Status strengthen(CubeId id, double by, std::string_view why);
  Result<EraseReceipt> erase(CubeId id);
  Result<CubeId> apply(MemoryOp op);

  // govern/
  Status grant(const std::string& space, const std::string& principal, uint8_t rights);
  Status lend(const std::string& agent, uint8_t rights);
  Status set_rules(const std::string& space, const SpaceRules& rules);
  Result<uint32_t> restore(CubeId id, uint32_t version, uint32_t base_version, std::string why);
  Status settle(CubeId newer, CubeId older, Verdict verdict, std::string_view why);
  Status rebuilt(CubeId lost);
  // Once it evicts, it frees one part in `spare_part` of the cap beyond what it must; 0: nothing.
  Result<Tended> tend(const std::string& space, int64_t spare_part = 0);
  Status note_backup(const std::string& folder);

  struct Event {
    CubeHeader header;  // of an erased cube: what the tombstone keeps. Of another, its id alone
    bool erased = false;
  };
  const std::vector<Event>& events() const { return events_; }
  const std::vector<Hash256>& blobs() const { return touched_blobs_; }  // written, or perhaps no longer named
  int64_t sequence() const { return journal_.sequence(); }
  JournalMark mark() const { return {journal_.sequence(), journal_.hash()}; }
  CubeId last() const { return last_; }
  const std::map<std::string, int64_t>& grown() const { return grown_; }  // bytes, of spaces with a cap
  sql::Database& database() { return *db_; }

 private:
  Change(sql::Database& database, Blobs& blobs, View view, Journal journal, const Principal& who)
      : db_(&database), store_(&blobs), view_(std::move(view)), journal_(std::move(journal)), who_(who) {}

  CubeId next_id();
  Result<CubeState> living(CubeId id);  // may be written, is not erased, is sound
  Status settle_sources(CubeHeader& header);
  Status screen(CubeDraft& draft);
  Result<int64_t> expire_due(const std::string& space);
  Result<std::vector<Weighed>> weigh(const std::string& space, const SpaceRules& rules,
                                     int64_t& active_bytes) const;
  Status evict(CubeId id, bool drop);
  Status store_payload(CubeHeader& header, const std::string& payload);
  Result<uint32_t> add_version(CubeState state, CubeDraft draft);
  Status save(const CubeState& state);
  Status close(CubeState state, TimeMs ended, CubeId by);
  Status reopen(CubeState state, std::string_view why);
  // `changed`: the entry tells what became of the cube's life.
  Status note(std::string_view action, const CubeState& state, std::string_view why, bool changed = false);
  Status note_space(std::string_view action, std::string_view space, std::string detail);

  // govern/conflicts.cc
  Status supersede(const CubeHeader& newer);
  Status contradict(const CubeHeader& newer);
  Status contradict(const CubeHeader& newer, CubeState older);

  // erase.cc
  Result<std::vector<CubeState>> closure(CubeId root);
  Status ask_rebuild(const CubeState& lost, const std::set<CubeId>& gone, EraseReceipt& receipt);
  Status give_back(const std::vector<CubeState>& doomed, const std::set<CubeId>& gone, EraseReceipt& receipt);
  Result<EraseReceipt::Item> bury(CubeState state);
  Status retire(CubeState weights, EraseReceipt& receipt);
  Status name_backups(TimeMs since, EraseReceipt& receipt);

  sql::Database* db_;
  Blobs* store_;
  View view_;
  Journal journal_;
  Principal who_;
  TimeMs now_ = 0;
  CubeId last_;
  std::vector<Event> events_;
  std::map<std::string, int64_t> grown_;
  std::vector<Hash256> touched_blobs_;
};

}  // namespace varve

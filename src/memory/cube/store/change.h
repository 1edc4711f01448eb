// Change: one write in progress, by one principal, inside one transaction. It checks rights and rules, edits
// the rows, and collects what the store does once the transaction is durable: tell the observer, remove dead
// blobs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "memory/cube/store/view.h"

namespace varve {

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
  Status grant(const std::string& space, const std::string& principal, uint8_t rights);
  Result<CubeId> apply(MemoryOp op);

  struct Event {
    CubeHeader header;  // of an erased cube: what the tombstone keeps. Of another, its id alone
    bool erased = false;
  };
  const std::vector<Event>& events() const { return events_; }
  const std::vector<Hash256>& blobs() const { return touched_blobs_; }  // written, or perhaps no longer named
  int64_t sequence() const { return sequence_; }
  CubeId last() const { return last_; }
  bool erased() const { return erased_; }
  sql::Database& database() { return *db_; }

 private:
  Change(sql::Database& database, Blobs& blobs, View view, const Principal& who, TimeMs now, CubeId last)
      : db_(&database), store_(&blobs), view_(std::move(view)), who_(who), now_(now), last_(last) {}

  CubeId next_id();
  Result<CubeState> living(CubeId id);  // may be written, is not erased, is sound
  Status settle_sources(CubeHeader& header);
  Status store_payload(CubeHeader& header, const std::string& payload);
  Status supersede(const CubeHeader& newer);
  Status save(const CubeState& state);
  Status note(std::string_view action, CubeId id, uint32_t version, std::string_view why);

  // erase.cc
  Result<std::vector<CubeState>> closure(CubeId root);
  Status give_back(const std::vector<CubeState>& doomed);
  Result<EraseReceipt::Item> bury(CubeState state);
  Status retire(CubeState weights, EraseReceipt& receipt);

  sql::Database* db_;
  Blobs* store_;
  View view_;
  Principal who_;
  TimeMs now_;
  CubeId last_;
  int64_t sequence_ = 0;
  bool erased_ = false;
  std::vector<Event> events_;
  std::vector<Hash256> touched_blobs_;
};

}  // namespace varve

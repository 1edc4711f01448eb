// CubeStore over one SQLite connection and a folder of blobs. Journal and durability: docs/decisions/0003.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memory/cube/governance.h"
#include "memory/cube/store/change.h"

namespace varve {

// What SQLite may hold: a page cache of 2 MiB, statements, and rows of up to 16 KiB. store_open_test.cc
// measures that it stays below.
constexpr int64_t kSqliteBytes = 4 << 20;

class SqliteStore : public CubeStore, public Governance {
 public:
  SqliteStore(Env& env, std::string folder, Ledger& ledger, const Clock& clock)
      : env_(env),
        folder_(std::move(folder)),
        ledger_(ledger),
        clock_(clock),
        blobs_(env, folder_ + "/blobs") {}
  Status start();

  Result<CubeId> put(const Principal& who, CubeDraft draft) override {
    return write(who, [&](Change& change) { return change.add(std::move(draft)); });
  }
  Result<std::vector<CubeId>> apply(const Principal& who, std::vector<MemoryOp> ops) override;
  Result<uint32_t> revise(const Principal& who, CubeId id, uint32_t base_version, CubeDraft draft,
                          std::string why) override {
    draft.header.why = std::move(why);
    return write(who, [&](Change& change) { return change.revise(id, base_version, std::move(draft)); });
  }
  Status advance(const Principal& who, CubeId id, Life to, std::string why) override {
    return write(who, [&](Change& change) { return change.advance(id, to, why); });
  }
  Result<EraseReceipt> erase(const Principal& who, CubeId id, std::string why) override;
  Status grant(const Principal& who, const std::string& space, const std::string& principal,
               uint8_t rights) override {
    return write(who, [&](Change& change) { return change.grant(space, principal, rights); });
  }

  Result<CubeHeader> head(const Principal& who, CubeId id, uint32_t version) const override {
    return read(who,
                [&](View& view) -> Result<CubeHeader> { return view.header(TRY(view.find(id)), version); });
  }
  Result<std::string> payload(const Principal& who, CubeId id, uint32_t version) const override {
    return read(who, [&](View& view) { return words(view, id, version); });
  }
  Result<std::vector<CubeHeader>> history(const Principal& who, CubeId id) const override {
    return read(who, [&](View& view) { return view.history(id); });
  }
  Result<std::vector<CubeHeader>> list(const Principal& who, const CubeFilter& filter) const override {
    return read(who, [&](View& view) { return view.list(filter); });
  }
  Result<std::vector<CubeHeader>> derived(const Principal& who, CubeId id) const override {
    return read(who, [&](View& view) { return view.derived(id); });
  }
  Result<std::vector<JournalEntry>> journal(const Principal& who, CubeId id) const override {
    return read(who, [&](View& view) { return view.journal(id); });
  }
  Result<std::vector<std::string>> readable_spaces(const Principal& who) const override {
    return read(who,
                [&](View& view) -> Result<std::vector<std::string>> { return view.rights().readable(); });
  }
  Result<std::string> export_cube(const Principal& who, CubeId id) const override;
  Result<CubeId> import_cube(const Principal& who, std::string_view file, const std::string& space) override;
  Governance& governance() override { return *this; }
  Result<std::unique_ptr<File>> open_payload(const Principal& who, CubeId id) const override;
  void when_erased(std::function<void()> act) override {
    std::scoped_lock lock(writing_, connection_);
    when_erased_ = std::move(act);
  }
  // observe.cc
  Status observe(CubeObserver* observer, const JournalMark* since) override;
  Result<std::optional<CubeId>> show(CubeObserver& to, CubeId after, int32_t limit) const override;
  Result<JournalMark> newest() const override;
  Result<std::vector<std::string>> check() const override;

  // Governance: govern/governance.cc
  Result<std::vector<Space>> spaces(const Principal& who) const override;
  Result<std::vector<Grant>> grants(const Principal& who, const std::string& space) const override;
  Status lend(const Principal& who, const std::string& agent, uint8_t rights) override;
  Result<std::vector<Grant>> lent(const Principal& who) const override;
  Result<SpaceRules> rules(const Principal& who, const std::string& space) const override;
  Status set_rules(const Principal& who, const std::string& space, const SpaceRules& rules) override;
  Result<uint32_t> restore(const Principal& who, CubeId id, uint32_t version, uint32_t base_version,
                           std::string why) override;
  Result<CubeHeader> as_of(const Principal& who, CubeId id, TimeMs recorded_at) const override;
  Result<std::vector<Conflict>> conflicts(const Principal& who, const std::string& space,
                                          bool all) const override;
  Status settle(const Principal& who, CubeId newer, CubeId older, Verdict verdict, std::string why) override;
  Result<Tended> tend(const Principal& who, const std::string& space) override;
  Result<Backup> backup(const Principal& by, const std::string& folder) override;
  Result<std::vector<std::string>> repair() override;
  Result<std::vector<Rebuild>> rebuilds(const Principal& who) const override;
  Status rebuilt(const Principal& who, CubeId lost) override;
  Result<std::vector<JournalEntry>> audit(const Principal& who, const AuditQuery& query) const override;

 private:
  template <class Steps>
  auto read(const Principal& who, Steps steps) const -> decltype(steps(std::declval<View&>()));
  template <class Steps>
  auto write(const Principal& who, Steps steps) -> decltype(steps(std::declval<Change&>()));
  struct Turn {  // a caller's change, waiting for the transaction that it shares
    const Principal& who;
    std::function<Code(Change&)> steps;
    bool done = false, refused = false;
    Status failed;
  };
  struct Written {
    std::vector<Change::Event> events;
    std::vector<Hash256> blobs;
    std::map<std::string, int64_t> grown;  // bytes put into spaces with a cap
    JournalMark mark;                      // of the last of the events
    bool doubtful = false;                 // the disk failed somebody

    bool erases() const {
      return std::any_of(events.begin(), events.end(), [](const auto& event) { return event.erased; });
    }
    void add_blobs(const std::vector<Hash256>& more) { blobs.insert(blobs.end(), more.begin(), more.end()); }
  };
  void wait_turn(Turn& mine);
  void write_together(const std::vector<Turn*>& group);
  Status write_in_transaction(const std::vector<Turn*>& group, Written& written);
  Status commit(sql::Transaction transaction, int64_t sequence);
  Result<bool> full(const std::string& space, int64_t grown);
  void make_room(const std::map<std::string, int64_t>& grown);
  Status copy_database(const std::string& to, std::unique_lock<std::mutex>& order);
  Result<std::string> words(View& view, CubeId id, uint32_t version) const;

  Status connect() const;
  Status ready() const;  // the connection is open, and no orphan waits
  Status drop_orphans(const std::vector<Hash256>& names);
  Status sweep() const;
  Status scrub();
  // observe.cc
  void tell_erased() const {
    if (when_erased_) when_erased_();
  }
  void tell(CubeObserver& to, const std::vector<Change::Event>& events) const;
  Status tell_since(CubeObserver& to, const JournalMark& since) const;
  std::string database_path() const { return folder_ + "/cubes.db"; }

  Env& env_;
  const std::string folder_;
  Ledger& ledger_;
  const Clock& clock_;
  std::unique_ptr<File> lock_;
  Reservation sqlite_bytes_;
  // Taken in this order. `writing_` is held by a change from its first row until the observer was told, so
  // that changes are told in the order of commit; `connection_` only while SQLite is used, so that an
  // observer, and whoever waits for its lock, may read.
  mutable std::mutex writing_, connection_;
  std::mutex queue_;  // after them; held for a moment
  std::condition_variable came_, served_;
  std::vector<Turn*> waiting_;
  size_t expected_ = 1;
  bool led_ = false;
  mutable std::unique_ptr<sql::Database> db_;  // null after the disk failed; the next call opens it again
  mutable Blobs blobs_;
  mutable bool orphans_ = true;  // blobs may be there that nobody names
  mutable uint64_t opened_ = 0;  // how often the connection was
  CubeId last_;
  std::map<std::string, int64_t> active_bytes_;  // of spaces with a cap, at most; measured when it passes it
  CubeObserver* observer_ = nullptr;
  std::function<void()> when_erased_;
};

template <class Steps>
auto SqliteStore::read(const Principal& who, Steps steps) const -> decltype(steps(std::declval<View&>())) {
  std::lock_guard lock(connection_);
  TRY(ready());
  View view = TRY(View::open(*db_, blobs_, who));
  return steps(view);
}

template <class Steps>
auto SqliteStore::write(const Principal& who, Steps steps) -> decltype(steps(std::declval<Change&>())) {
  std::optional<decltype(steps(std::declval<Change&>()))> outcome;
  Turn mine{who, [&](Change& change) {
              outcome.emplace(steps(change));
              return outcome->code();
            }};
  wait_turn(mine);
  if (!mine.failed.ok()) return std::move(mine.failed);
  return *std::move(outcome);
}

}  // namespace varve

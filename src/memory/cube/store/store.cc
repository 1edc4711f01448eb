// CubeStore over one SQLite connection and a folder of blobs. Journal and durability: docs/decisions/0003.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "memory/cube/cube_file.h"
#include "memory/cube/store/change.h"
#include "memory/cube/store/fsck.h"
#include "memory/cube/store/schema.h"

namespace varve {
namespace {

// What SQLite may hold: two page caches of 2 MiB (the store's, and the copy's while it is rewritten),
// statements, and rows of up to 16 KiB. store_open_test.cc measures that it stays below.
constexpr int64_t kSqliteBytes = 6 << 20;
// Up to this size cubes.db is rewritten within the erase; a larger one when the store closes.
constexpr int64_t kRewriteAtOnceBytes = 64 << 20;
constexpr size_t kMaxOps = 10000;
constexpr std::chrono::milliseconds kLinger{1};

class SqliteStore : public CubeStore {
 public:
  SqliteStore(Env& env, std::string folder, Ledger& ledger, const Clock& clock)
      : env_(env),
        folder_(std::move(folder)),
        ledger_(ledger),
        clock_(clock),
        blobs_(env, folder_ + "/blobs") {}
  ~SqliteStore() override;
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
  Result<std::string> export_cube(const Principal& who, CubeId id) const override {
    return read(who, [&](View& view) -> Result<std::string> {
      const std::string text = TRY(words(view, id, 0));
      return encode_cube_file(TRY(view.header(TRY(view.find(id)))), text);
    });
  }
  Result<CubeId> import_cube(const Principal& who, std::string_view file, const std::string& space) override;
  Status observe(CubeObserver* observer) override;
  Result<std::vector<std::string>> check() const override;

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
    bool doubtful = false;  // the disk failed somebody

    void add_blobs(const std::vector<Hash256>& more) { blobs.insert(blobs.end(), more.begin(), more.end()); }
  };
  void wait_turn(Turn& mine);
  void write_together(const std::vector<Turn*>& group);
  Status write_in_transaction(const std::vector<Turn*>& group, Written& written);
  Status commit(sql::Transaction transaction, int64_t sequence);
  Result<std::string> words(View& view, CubeId id, uint32_t version) const;

  Status connect() const;
  Status ready() const;  // the connection is open, and no orphan waits
  Status drop_orphans(const std::vector<Hash256>& names);
  Status sweep() const;
  Status drop_copy();
  Status rewrite();
  Status rewrite_when_due(int64_t up_to_bytes);
  void tell(const std::vector<Change::Event>& events);
  std::string database_path() const { return folder_ + "/cubes.db"; }
  std::string copy_path() const { return folder_ + "/cubes.db.new"; }

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
  CubeId last_;
  CubeObserver* observer_ = nullptr;
};

Status SqliteStore::start() {
  TRY(env_.make_folder(folder_));
  auto lock = env_.lock(folder_ + "/lock");
  if (lock.code() == Code::conflict) {
    return Status(Code::conflict, "another process uses the memories in " + folder_ + "; stop it first");
  }
  lock_ = TRY(std::move(lock));
  sqlite_bytes_ = TRY(ledger_.reserve(Tag::cubes, kSqliteBytes).with("SQLite's page cache"));
  // Made here for its mode, 0600; SQLite gives its journal the same.
  if (!TRY(env_.exists(database_path()))) TRY(TRY(env_.open(database_path(), Open::create))->sync());
  drop_copy().ignore("the next rewriting tries again");
  TRY(ready());
  rewrite_when_due(kRewriteAtOnceBytes).ignore("on a full disk, too, a store must open");
  TRY(ready());
  auto newest = TRY(db_->query("SELECT id FROM cubes ORDER BY id DESC LIMIT 1"));
  if (TRY(newest.step()) && newest.view(0).size() == 16) {
    std::memcpy(last_.bytes.data(), newest.view(0).data(), 16);
  }
  return {};
}

SqliteStore::~SqliteStore() {
  if (!lock_ || !ready().ok()) return;
  rewrite_when_due(INT64_MAX).ignore("tried again when the store opens");
}

Status SqliteStore::connect() const {
  auto database = TRY(sql::Database::open(database_path()));
  TRY(prepare_store(*database).with("opening " + database_path()));
  db_ = std::move(database);
  return {};
}

Status SqliteStore::ready() const {
  if (!db_) TRY(connect());
  return orphans_ ? sweep() : Status();
}

// Removes the blobs that no version names. One that cannot be removed does no harm and is tried again.
Status SqliteStore::sweep() const {
  orphans_ = false;
  return blobs_.each([&](const std::string& path, const std::optional<Hash256>& name) -> Status {
    if (!name || !TRY(named(*db_, *name))) orphans_ = !env_.remove(path).ok() || orphans_;
    return {};
  });
}

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

// One of those who wait leads: it writes for all of them, and then one of those who came meanwhile.
void SqliteStore::wait_turn(Turn& mine) {
  std::unique_lock queue(queue_);
  waiting_.push_back(&mine);
  came_.notify_one();
  served_.wait(queue, [&] { return mine.done || !led_; });
  if (mine.done) return;
  led_ = true;
  queue.unlock();
  std::vector<Turn*> group;
  {
    std::lock_guard order(writing_);
    queue.lock();
    // Whoever wrote together a moment ago is on his way back.
    came_.wait_for(queue, kLinger, [&] { return waiting_.size() >= expected_; });
    group.swap(waiting_);
    expected_ = group.size();
    queue.unlock();
    write_together(group);
  }
  queue.lock();
  for (Turn* turn : group) turn->done = true;
  led_ = false;
  served_.notify_all();
}

// One transaction, and so one wait for the disk, for all who wait. A disk that fails, fails them all.
void SqliteStore::write_together(const std::vector<Turn*>& group) {
  Written written;
  {
    std::lock_guard lock(connection_);
    const CubeId newest = last_;
    const Status shared = write_in_transaction(group, written);
    if (!shared.ok()) written.events.clear(), last_ = newest;
    for (Turn* turn : group) {
      if (shared.ok() || turn->refused) continue;  // who was refused has his own reason
      turn->failed = Status(shared.code(), std::string(shared.message()));
    }
    if (written.doubtful || shared.code() == Code::io || shared.code() == Code::corrupt) db_.reset();
    const bool dropped = shared.ok() && (written.blobs.empty() || drop_orphans(written.blobs).ok());
    if (!written.blobs.empty() && !dropped) orphans_ = true;
  }
  tell(written.events);
}

// Each has a savepoint: what one of them may not do is undone alone.
Status SqliteStore::write_in_transaction(const std::vector<Turn*>& group, Written& written) {
  TRY(ready());
  sql::Transaction transaction = TRY(sql::Transaction::begin(*db_));
  std::optional<int64_t> sequence;
  for (Turn* turn : group) {
    TRY(db_->run("SAVEPOINT turn"));
    auto change = Change::begin(*db_, blobs_, turn->who, clock_.now_ms(), last_);
    const Code code = change.ok() ? turn->steps(*change) : change.code();
    if (change.ok()) written.add_blobs(change->blobs());
    written.doubtful = written.doubtful || code == Code::io || code == Code::corrupt;
    if (!db_->in_transaction()) return Status(Code::io, "SQLite gave up the transaction");
    if (code != Code::ok) TRY(db_->run("ROLLBACK TO turn"));
    TRY(db_->run("RELEASE turn"));
    turn->refused = code != Code::ok;
    if (!change.ok()) turn->failed = std::move(change).status();
    if (turn->refused) continue;
    sequence = change->sequence();
    last_ = change->last();
    written.events.insert(written.events.end(), change->events().begin(), change->events().end());
  }
  return sequence ? commit(std::move(transaction), *sequence) : Status();
}

// A commit that reports a failure may have taken effect all the same: the journal was cut, and then its sync
// failed. A fresh connection tells: it plays back a journal that is still whole. Writing once more through it
// proves that the disk answers, and makes what it found durable.
Status SqliteStore::commit(sql::Transaction transaction, int64_t sequence) {
  Status failed = [&] {
    sql::Transaction mine = std::move(transaction);
    return mine.commit();
  }();
  if (failed.ok()) return failed;
  db_.reset();
  const auto settle = [&]() -> Result<bool> {
    TRY(ready());
    const int64_t newest = TRY(db_->number("SELECT max(sequence) FROM journal")).value_or(0);
    TRY(db_->run("UPDATE meta SET value = value + 1 WHERE key = 'heals'"));
    return newest >= sequence;
  };
  auto stored = settle();
  if (stored.ok()) return *stored ? Status() : std::move(failed);
  db_.reset();
  return std::move(failed).with("the disk fails, and whether this was stored is not known until it answers");
}

Status SqliteStore::drop_orphans(const std::vector<Hash256>& names) {
  TRY(ready());
  Status first;
  for (const Hash256& name : names) {
    if (TRY(named(*db_, name))) continue;
    Status removed = blobs_.remove(name);
    if (first.ok()) first = std::move(removed);
  }
  return first;
}

void SqliteStore::tell(const std::vector<Change::Event>& events) {
  if (observer_ == nullptr) return;
  for (const Change::Event& event : events) {
    if (event.erased) {
      observer_->erased(event.header);
      continue;
    }
    const auto found = [&]() -> Result<std::pair<CubeHeader, std::string>> {
      std::lock_guard lock(connection_);
      TRY(ready());
      Rows rows(*db_, blobs_);
      const auto state = TRY(rows.state(event.header.id));
      if (!state || state->life == Life::erased) return Status(Code::not_found, "erased since");
      CubeHeader header = TRY(rows.header(*state));
      std::string text = header.form == Form::plaintext ? TRY(rows.payload(header)) : std::string();
      return std::pair(std::move(header), std::move(text));
    }();
    if (found.ok()) observer_->changed((*found).first, (*found).second);
  }
}

Result<std::vector<CubeId>> SqliteStore::apply(const Principal& who, std::vector<MemoryOp> ops) {
  if (ops.size() > kMaxOps) {
    return Status(Code::invalid, "a plan has at most " + std::to_string(kMaxOps) + " operations");
  }
  const bool erases = std::any_of(ops.begin(), ops.end(),
                                  [](const MemoryOp& op) { return op.kind == MemoryOp::Kind::erase; });
  auto done = TRY(write(who, [&](Change& change) -> Result<std::vector<CubeId>> {
    std::vector<CubeId> ids;
    for (size_t i = 0; i < ops.size(); ++i) {
      for (const int32_t earlier : ops[i].from_ops) {
        if (earlier < 0 || size_t(earlier) >= i || ops[size_t(earlier)].kind != MemoryOp::Kind::add) {
          return Status(Code::invalid, "operation " + std::to_string(i + 1) + " derives from none before it");
        }
        ops[i].draft.header.from.push_back({ids[size_t(earlier)], 1});
      }
      ids.push_back(TRY(change.apply(std::move(ops[i])).with("operation " + std::to_string(i + 1))));
    }
    return ids;
  }));
  if (erases) {
    std::scoped_lock lock(writing_, connection_);
    rewrite_when_due(kRewriteAtOnceBytes).ignore("tried again when the store closes or opens");
  }
  return done;
}

Result<EraseReceipt> SqliteStore::erase(const Principal& who, CubeId id, std::string) {
  std::vector<Hash256> blobs;
  EraseReceipt receipt = TRY(write(who, [&](Change& change) -> Result<EraseReceipt> {
    auto done = TRY(change.erase(id));
    blobs = change.blobs();
    return done;
  }));
  std::scoped_lock lock(writing_, connection_);
  const auto swept = [&]() -> Status {
    TRY(ready());
    TRY(drop_orphans(blobs));
    TRY(rewrite_when_due(kRewriteAtOnceBytes));
    if (TRY(db_->number("SELECT value FROM meta WHERE key = 'rewrite_due'")).value_or(0) == 0) return {};
    return Status(Code::io, "cubes.db is large");
  }();
  if (!swept.ok()) {
    receipt.not_reached.push_back(
        "free space inside the folder may hold fragments until the store is closed and opened (" +
        std::string(swept.message()) + ")");
  }
  return receipt;
}

Status SqliteStore::drop_copy() {  // one that a crash left
  return TRY(env_.exists(copy_path())) ? env_.remove(copy_path()) : Status();
}

// SQLite zeroes what it deletes, but moves rows between pages without zeroing where they were: fragments stay
// (about 1 in 2000 deletions, measured). A copy made from the living rows alone has none; it takes the place
// of the database by a rename.
Status SqliteStore::rewrite() {
  const std::string fresh = copy_path();
  TRY(drop_copy());
  TRY(TRY(env_.open(fresh, Open::create))->sync());
  TRY(db_->run("VACUUM INTO ?", fresh));
  TRY(TRY(env_.open(fresh, Open::write))->sync());
  db_.reset();
  TRY(env_.rename(fresh, database_path()));
  TRY(ready());
  return db_->run("UPDATE meta SET value = 0 WHERE key = 'rewrite_due'");
}

Status SqliteStore::rewrite_when_due(int64_t up_to_bytes) {
  TRY(ready());
  if (TRY(db_->number("SELECT value FROM meta WHERE key = 'rewrite_due'")).value_or(0) == 0) return {};
  const int64_t pages = TRY(db_->number("PRAGMA page_count")).value_or(0);
  if (pages * TRY(db_->number("PRAGMA page_size")).value_or(0) > up_to_bytes) return {};
  Status done = rewrite().with("rewriting cubes.db without what was erased");
  if (!done.ok()) db_.reset();
  return done;
}

Result<std::string> SqliteStore::words(View& view, CubeId id, uint32_t version) const {
  const CubeHeader header = TRY(view.rows().header(TRY(view.find(id)), version));
  const auto room = TRY(ledger_.reserve(Tag::cubes, header.payload_bytes));  // while it is read
  return view.rows().payload(header);
}

Result<CubeId> SqliteStore::import_cube(const Principal& who, std::string_view file,
                                        const std::string& space) {
  CubeDraft draft = TRY(parse_cube_file(file));
  CubeHeader& h = draft.header;
  std::string why =
      "imported: cube " + h.id.text() + " version " + std::to_string(h.version) + " of " + h.owner;
  if (!h.why.empty()) why += ": " + h.why;
  if (why.size() > kMaxWhyBytes) why = "imported: cube " + h.id.text() + " of " + h.owner;
  h.why = std::move(why);
  h.space = space;
  h.session.clear();  // it was not said in any conversation here
  h.turn = 0;
  h.origin = "cube:" + h.id.text();
  h.trust = Trust::outside;
  return put(who, std::move(draft));
}

Status SqliteStore::observe(CubeObserver* observer) {
  std::lock_guard order(writing_);
  observer_ = nullptr;
  if (observer == nullptr) return {};
  CubeId after;
  while (true) {
    std::vector<Change::Event> page;
    {
      std::lock_guard lock(connection_);
      TRY(ready());
      auto row =
          TRY(db_->query("SELECT id FROM cubes WHERE id > ? AND form = ? AND life = ? ORDER BY id LIMIT 1000",
                         after.bytes, int64_t(Form::plaintext), int64_t(Life::active)));
      while (TRY(row.step())) {
        if (row.view(0).size() == 16) std::memcpy(after.bytes.data(), row.view(0).data(), 16);
        page.push_back({.header = {.id = after}});
      }
    }
    if (page.empty()) break;
    observer_ = observer;
    tell(page);
    observer_ = nullptr;
  }
  observer_ = observer;
  return {};
}

Result<std::vector<std::string>> SqliteStore::check() const {
  std::scoped_lock lock(writing_, connection_);
  TRY(ready());
  return check_store(*db_, blobs_);
}

}  // namespace

Result<std::unique_ptr<CubeStore>> CubeStore::open(Env& env, const std::string& folder, Ledger& ledger,
                                                   const Clock& clock) {
  auto store = std::make_unique<SqliteStore>(env, folder, ledger, clock);
  TRY(store->start());
  return std::unique_ptr<CubeStore>(std::move(store));
}

}  // namespace varve

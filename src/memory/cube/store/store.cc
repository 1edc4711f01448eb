#include "memory/cube/store/sqlite_store.h"

#include <chrono>

#include "memory/cube/cube_file.h"
#include "memory/cube/scrub/vfs.h"
#include "memory/cube/store/fsck.h"
#include "memory/cube/store/schema.h"

namespace varve {
namespace {

constexpr size_t kMaxOps = 10000;
constexpr std::chrono::milliseconds kLinger{1};

}  // namespace

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
  TRY(ready());
  scrub().ignore("on a failing disk, too, a store must open; tried again the next time");
  TRY(ready());
  auto newest = TRY(db_->query("SELECT id FROM cubes ORDER BY id DESC LIMIT 1"));
  if (TRY(newest.step()) && newest.view(0).size() == 16) {
    std::memcpy(last_.bytes.data(), newest.view(0).data(), 16);
  }
  return {};
}

// A store of an older Varve may hold fragments of what was erased: once, every page is gone through.
Status SqliteStore::scrub() {
  if (TRY(db_->number("SELECT value FROM meta WHERE key = 'scrubbed'")).value_or(0) != 0) return {};
  const std::string copy = folder_ + "/cubes.db.new";  // that an older Varve left
  if (TRY(env_.exists(copy))) TRY(env_.remove(copy));
  db_.reset();
  TRY(scrub_database(env_, database_path()));
  TRY(ready());
  return db_->run("UPDATE meta SET value = 1 WHERE key = 'scrubbed'");
}

Status SqliteStore::connect() const {
  auto database = TRY(sql::Database::open(database_path()));
  TRY(prepare_store(*database).with("opening " + database_path()));
  db_ = std::move(database);
  ++opened_;
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
    if (!shared.ok()) written.events.clear(), written.grown.clear(), last_ = newest;
    for (Turn* turn : group) {
      if (shared.ok() || turn->refused) continue;  // who was refused has his own reason
      turn->failed = Status(shared.code(), std::string(shared.message()));
    }
    if (written.doubtful || shared.code() == Code::io || shared.code() == Code::corrupt) db_.reset();
    const bool dropped =
        shared.ok() && !written.doubtful && (written.blobs.empty() || drop_orphans(written.blobs).ok());
    if (!written.blobs.empty() && !dropped) orphans_ = true;
  }
  if (written.erases()) tell_erased();  // what was made of them meanwhile
  if (observer_ != nullptr && !written.events.empty()) {
    tell(*observer_, written.events);
    observer_->reached(written.mark);
  }
  if (!written.grown.empty()) make_room(written.grown);
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
    written.mark = change->mark();
    last_ = change->last();
    written.events.insert(written.events.end(), change->events().begin(), change->events().end());
    for (const auto& [space, bytes] : change->grown()) written.grown[space] += bytes;
  }
  if (written.erases()) tell_erased();  // whatever stops the process next, no copy outlives the words
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

Result<std::vector<CubeId>> SqliteStore::apply(const Principal& who, std::vector<MemoryOp> ops) {
  if (ops.size() > kMaxOps) {
    return Status(Code::invalid, "a plan has at most " + std::to_string(kMaxOps) + " operations");
  }
  return write(who, [&](Change& change) -> Result<std::vector<CubeId>> {
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
  });
}

Result<EraseReceipt> SqliteStore::erase(const Principal& who, CubeId id, std::string) {
  EraseReceipt receipt = TRY(write(who, [&](Change& change) { return change.erase(id); }));
  std::scoped_lock lock(writing_, connection_);
  if (observer_ != nullptr) observer_->account(receipt);
  const Status swept = ready();
  if (!swept.ok() || orphans_) {
    receipt.not_reached.push_back("a file of its words could not be removed; it goes when the store opens" +
                                  (swept.ok() ? "" : " (" + std::string(swept.message()) + ")"));
  }
  return receipt;
}

Result<std::unique_ptr<File>> SqliteStore::open_payload(const Principal& who, CubeId id) const {
  return read(who, [&](View& view) -> Result<std::unique_ptr<File>> {
    const CubeHeader header = TRY(view.rows().header(TRY(view.find(id))));
    if (header.payload_bytes > int64_t(kInlineBytes))
      return blobs_.open(header.payload_hash, header.payload_bytes);
    return file_of(TRY(view.rows().payload(header)));
  });
}

Result<std::string> SqliteStore::words(View& view, CubeId id, uint32_t version) const {
  const CubeHeader header = TRY(view.rows().header(TRY(view.find(id)), version));
  const auto room = TRY(ledger_.reserve(Tag::cubes, header.payload_bytes));  // while it is read
  return view.rows().payload(header);
}

Result<std::string> SqliteStore::export_cube(const Principal& who, CubeId id) const {
  return read(who, [&](View& view) -> Result<std::string> {
    const std::string text = TRY(words(view, id, 0));
    return encode_cube_file(TRY(view.header(TRY(view.find(id)))), text);
  });
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

Result<std::vector<std::string>> SqliteStore::check() const {
  std::scoped_lock lock(writing_, connection_);
  TRY(ready());
  return check_store(*db_, blobs_);
}

Result<std::vector<std::string>> SqliteStore::repair() {
  std::scoped_lock lock(writing_, connection_);
  TRY(ready());
  sql::Transaction transaction = TRY(sql::Transaction::begin(*db_));
  std::vector<std::string> done = TRY(repair_store(*db_));
  TRY(transaction.commit());
  return done;
}

Result<std::unique_ptr<CubeStore>> CubeStore::open(Env& env, const std::string& folder, Ledger& ledger,
                                                   const Clock& clock) {
  auto store = std::make_unique<SqliteStore>(env, folder, ledger, clock);
  TRY(store->start());
  return std::unique_ptr<CubeStore>(std::move(store));
}

}  // namespace varve

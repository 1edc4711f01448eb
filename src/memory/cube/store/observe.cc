// What observers are told: all that is there, what changed since a place in the journal, what changes now.
#include "memory/cube/govern/journal.h"
#include "memory/cube/store/sqlite_store.h"

namespace varve {
namespace {

constexpr int32_t kPage = 1000;

Result<std::vector<CubeId>> ids_of(sql::Statement row) {
  std::vector<CubeId> ids;
  while (TRY(row.step())) {
    if (row.view(0).size() == 16) std::memcpy(ids.emplace_back().bytes.data(), row.view(0).data(), 16);
  }
  return ids;
}

std::vector<Change::Event> events_of(const std::vector<CubeId>& ids) {
  std::vector<Change::Event> events;
  for (const CubeId& id : ids) events.push_back({.header = {.id = id}});
  return events;
}

}  // namespace

void SqliteStore::tell(CubeObserver& to, const std::vector<Change::Event>& events) const {
  for (const Change::Event& event : events) {
    CubeHeader header = event.header;
    std::string text;
    const Status found = event.erased ? Status() : [&]() -> Status {
      std::lock_guard lock(connection_);
      TRY(ready());
      CubeRows rows(*db_, blobs_);
      const auto state = TRY(rows.state(event.header.id));
      if (!state) return Status(Code::not_found, "no such cube");
      header.life = state->life;
      if (state->life == Life::erased) return {};
      header = TRY(rows.header(*state));
      if (header.form == Form::plaintext) text = TRY(rows.payload(header));
      return {};
    }();
    if (!found.ok()) continue;
    header.life == Life::erased ? to.erased(header) : to.changed(header, text);
  }
}

Result<std::optional<CubeId>> SqliteStore::show(CubeObserver& to, CubeId after, int32_t limit) const {
  std::lock_guard order(writing_);
  std::vector<CubeId> ids;
  {
    std::lock_guard lock(connection_);
    TRY(ready());
    ids = TRY(ids_of(TRY(db_->query(
        "SELECT id FROM cubes WHERE id > ? AND form = ? AND life IN (?, ?) ORDER BY id LIMIT ?", after.bytes,
        int64_t(Form::plaintext), int64_t(Life::active), int64_t(Life::expired), int64_t(limit)))));
  }
  tell(to, events_of(ids));
  return ids.empty() ? std::optional<CubeId>() : ids.back();
}

Result<JournalMark> SqliteStore::newest() const {
  std::lock_guard lock(connection_);
  TRY(ready());
  const Journal tail = TRY(Journal::tail(*db_));
  return JournalMark{tail.sequence(), tail.hash()};
}

Status SqliteStore::tell_since(CubeObserver& to, const JournalMark& since) const {
  std::vector<CubeId> ids;
  {
    std::lock_guard lock(connection_);
    TRY(ready());
    auto entry = TRY(db_->query("SELECT hash FROM journal WHERE sequence = ?", since.sequence));
    const std::string_view hash(reinterpret_cast<const char*>(since.hash.bytes.data()), 32);
    if (since.sequence != 0 && (!TRY(entry.step()) || entry.view(0) != hash)) {
      return Status(Code::not_found, "the journal has no such entry");
    }
    ids = TRY(ids_of(TRY(db_->query("SELECT DISTINCT cube FROM journal WHERE sequence > ? ORDER BY sequence",
                                    since.sequence))));
  }
  tell(to, events_of(ids));
  return {};
}

Status SqliteStore::observe(CubeObserver* observer, const JournalMark* since) {
  JournalMark from = since != nullptr ? *since : TRY(newest());
  if (observer != nullptr && since == nullptr) {  // others may write meanwhile
    CubeId after;
    while (const auto last = TRY(show(*observer, after, kPage))) after = *last;
  }
  std::lock_guard order(writing_);
  observer_ = nullptr;
  if (observer == nullptr) return {};
  TRY(tell_since(*observer, from));
  observer->reached(TRY(newest()));
  observer_ = observer;
  return {};
}

}  // namespace varve

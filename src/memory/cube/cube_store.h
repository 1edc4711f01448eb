// CubeStore: the only writer of durable memory. Headers, versions, rights, provenance and journal in SQLite,
// large payloads as files named by their hash. Every call names the principal; rights are enforced here and
// nowhere else.
//
// A call that returned ok is durable (kill -9, power loss). A call that failed changed nothing; only a disk
// that fails in the very last step of a commit and stays silent leaves that open, and then the error says so.
// One process owns a store (a lock says so); within it every method is thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "memory/cube/cube.h"

namespace varve {

// admin: grants, and implies write; write implies read. A principal owns its own spaces: it is admin there,
// and nobody can take that away. A shared space is one whose owner, or an admin, granted rights in it.
enum class Right : uint8_t { read = 1, write = 2, admin = 4 };

struct CubeFilter {
  std::string space;  // empty: every space the principal may read
  std::string kind, session, origin;
  std::optional<Form> form;
  std::optional<Life> life = Life::active;  // nullopt: all
  // As of a time: what held at `valid_at`, whatever ended since (`life` then says nothing); and as the store
  // knew it at `recorded_at`: the version and life of then. Of what was erased since, only that it was.
  std::optional<TimeMs> valid_at, recorded_at;
  std::optional<CubeId> after;  // page on: ids above this one
  int32_t limit = 100;          // 1..10000
};

struct MemoryOp {  // a plan of a reflector; the store applies it
  enum class Kind : uint8_t { add, revise, expire, strengthen, erase, archive } kind = Kind::add;
  CubeId target;                  // of all but add
  uint32_t base_version = 0;      // of revise: 0 takes the current one
  CubeDraft draft;                // of add and revise; of expire only header.valid_to, default now
  std::vector<int32_t> from_ops;  // of add and revise: also derived from what these earlier operations added
  double strength = 0;            // of strengthen: added
  std::string why;
};

struct EraseReceipt {  // what a forget did, provably
  struct Item {
    CubeId id;
    uint32_t versions = 0;
    Hash256 payload_hash;               // of the newest version, before
    std::string kind, method;           // "deleted", "flagged"
    std::optional<Hash256> after = {};  // of its payload afterwards: none of what was deleted
  };
  std::vector<Item> items;           // the cube and everything derived from it, as far as the caller may see
  std::vector<CubeId> restored;      // valid again: what the erased ones had superseded
  std::vector<CubeId> rebuild;       // of the deleted: those with other sources, to be derived again
  std::vector<std::string> indexes;  // what else was derived from it, and what became of that
  std::vector<std::string> not_reached;  // what could not be, in words
  TimeMs time = 0;
  std::string principal;
  int64_t entry = 0;  // of the journal, which goes on from here
  Hash256 proof;      // that entry's hash
};

struct JournalEntry {
  int64_t sequence = 0;
  TimeMs time = 0;
  std::string principal, agent, action;
  CubeId cube;
  uint32_t version = 0;
  std::string space, detail;  // of rights and rules: which, in whose hands
  std::string why;
  Hash256 hash;  // over this entry without `why`, and the one before
};

// A place in the journal; its hash proves that everything before it is the same.
struct JournalMark {
  int64_t sequence = 0;
  Hash256 hash;
};

// Told of every committed change, in order, on the writing thread: what keeps an index current. It may read
// the store, but not write to it. `payload` is empty unless the form is plaintext.
class CubeObserver {
 public:
  virtual ~CubeObserver() = default;
  virtual void changed(const CubeHeader& header,
                       std::string_view payload) = 0;  // new, revised, or another life
  virtual void erased(const CubeHeader& header) = 0;
  virtual void reached(const JournalMark&) {}  // all changes up to this entry were told
  virtual void account(EraseReceipt&) {}       // adds what became of its own share of what was just erased
};

class Governance;  // memory/cube/governance.h

class CubeStore {
 public:
  // Creates or opens the store in `folder`. conflict: another process has it; corrupt: what is damaged and
  // what to do.
  static Result<std::unique_ptr<CubeStore>> open(Env& env, const std::string& folder, Ledger& ledger,
                                                 const Clock& clock = system_clock());
  virtual ~CubeStore() = default;

  // not_found also stands for "may not see": ids cannot be probed. denied: may read but not write.
  virtual Result<CubeId> put(const Principal& who, CubeDraft draft) = 0;
  virtual Result<std::vector<CubeId>> apply(const Principal& who,
                                            std::vector<MemoryOp> ops) = 0;  // all or none
  // A new version: kind, form, space, session, life and strength stay. denied for evidence.
  virtual Result<uint32_t> revise(const Principal& who, CubeId id, uint32_t base_version, CubeDraft draft,
                                  std::string why) = 0;  // conflict names the current version
  virtual Status advance(const Principal& who, CubeId id, Life to, std::string why) = 0;
  // The words of all versions go, from every file; a tombstone stays. So does everything derived from it, in
  // any space; weights learnt from it are archived and named. What it had superseded is valid again. `why` is
  // not kept: it tends to repeat what is to be forgotten.
  virtual Result<EraseReceipt> erase(const Principal& who, CubeId id, std::string why) = 0;

  virtual Result<CubeHeader> head(const Principal& who, CubeId id,
                                  uint32_t version = 0) const = 0;  // 0: newest
  virtual Result<std::string> payload(const Principal& who, CubeId id, uint32_t version = 0) const = 0;
  // The newest payload as a file, for forms that are large and check themselves; its hash is not compared.
  virtual Result<std::unique_ptr<File>> open_payload(const Principal& who, CubeId id) const = 0;
  virtual Result<std::vector<CubeHeader>> history(const Principal& who, CubeId id) const = 0;  // oldest first
  // By id, so by age. A damaged cube is left out; head() says so of it, and check() lists it.
  virtual Result<std::vector<CubeHeader>> list(const Principal& who, const CubeFilter& filter) const = 0;
  virtual Result<std::vector<CubeHeader>> derived(const Principal& who, CubeId id) const = 0;  // directly
  virtual Result<std::vector<JournalEntry>> journal(const Principal& who, CubeId id) const = 0;

  virtual Result<std::vector<std::string>> readable_spaces(const Principal& who) const = 0;
  virtual Status grant(const Principal& who, const std::string& space, const std::string& principal,
                       uint8_t rights) = 0;  // bits of Right; 0 takes them away
  virtual Governance& governance() = 0;      // the store's own; lives as long as it does

  // A .cube file: header, payload, hash. Import gives a new id, keeps history words in `why`, trust at most
  // outside.
  virtual Result<std::string> export_cube(const Principal& who, CubeId id) const = 0;
  virtual Result<CubeId> import_cube(const Principal& who, std::string_view file,
                                     const std::string& space) = 0;

  // Calls `observer` for every active and expired plaintext cube, or with `since` for every cube that changed
  // after it, then for every change. not_found: this store never was where `since` says. Null detaches.
  virtual Status observe(CubeObserver* observer, const JournalMark* since = nullptr) = 0;
  // Called before words go for good and again afterwards, by whatever way, on the writing thread: the time to
  // drop what was computed from them. It must not call the store. Null detaches.
  virtual void when_erased(std::function<void()> act) = 0;
  // Tells `to` of at most `limit` active and expired plaintext cubes whose ids follow `after`, while nobody
  // writes. The last one's id, or nothing at the end.
  virtual Result<std::optional<CubeId>> show(CubeObserver& to, CubeId after, int32_t limit) const = 0;
  virtual Result<JournalMark> newest() const = 0;
  virtual Result<std::vector<std::string>> check() const = 0;  // fsck: one line a problem; empty when sound
};

}  // namespace varve

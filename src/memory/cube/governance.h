// Governance: what owners and admins do with a store beside reading and writing cubes: rights and rules of
// spaces, the past, conflicts, upkeep, audit, backups. Enforced in the store, as everything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memory/cube/cube_store.h"

namespace varve {

// What becomes of words that look like a secret, or like somebody's address.
enum class Screen : uint8_t { allow, redact, refuse };
std::string_view to_string(Screen screen);
Result<Screen> parse_screen(std::string_view text);

// A space without rules has these. Evidence and words are kept as they were said unless its owner chose
// otherwise: what is redacted by mistake can never be brought back.
struct SpaceRules {
  int64_t cap_bytes = 0;  // of what is active; 0: none. Above it the least valuable bytes are archived first
  bool drop = false;      // the words of what is evicted go, for good; else it is only archived
  bool evidence = false;  // evidence may be evicted, too
  int64_t half_life_ms = 0;  // of strength when cubes are compared for eviction; 0: it does not decay
  Screen secrets = Screen::allow, personal = Screen::allow;
  bool operator==(const SpaceRules&) const = default;
};

struct Space {
  std::string name, owner;
  uint8_t rights = 0;  // bits of Right: the caller's
  int64_t cubes = 0, active_bytes = 0;
  SpaceRules rules;
};
struct Grant {
  std::string space, principal;
  uint8_t rights = 0;
};
std::string_view role(uint8_t rights);  // "reader", "writer", "admin", "nobody"

struct Conflict {
  CubeId newer, older;
  bool closed = true;  // the older is; else the newer is believed less, and both stand until settled
  bool open = true;    // to be settled; else the newer took the older's place, or somebody settled it so
};
enum class Verdict : uint8_t { newer, older, both };
Result<Verdict> parse_verdict(std::string_view text);

struct Tended {  // what upkeep of a space did
  int64_t expired = 0, archived = 0, dropped = 0;
  int64_t active_bytes = 0;  // afterwards; above the cap only by what may not be evicted
};

struct Rebuild {  // a derived cube whose words went because one of its sources did
  CubeId lost;
  std::string kind, space;
  std::vector<CubeId> from;  // its other sources, as far as they live: what to derive it from again
};

struct AuditQuery {
  std::string space;    // empty: every space that the caller is admin of
  int64_t after = 0;    // entries above this number
  int32_t limit = 100;  // 1..10000
};

struct Backup {
  int64_t files = 0, bytes = 0;
  TimeMs time = 0;
};
// Checks every file of a backup against its manifest and the copy as a store, and only then puts it at
// `folder`, where nothing may be. corrupt: the backup is not whole; nothing was put.
Result<Backup> restore_backup(Env& env, const std::string& backup, const std::string& folder, Ledger& ledger);

class Governance {
 public:
  virtual ~Governance() = default;

  virtual Result<std::vector<Space>> spaces(const Principal& who) const = 0;
  // Admins see all grants of a space, others their own.
  virtual Result<std::vector<Grant>> grants(const Principal& who, const std::string& space) const = 0;
  // `agent` may act for `who` with these rights at most, in every space of `who`; 0 takes them away.
  virtual Status lend(const Principal& who, const std::string& agent, uint8_t rights) = 0;
  virtual Result<std::vector<Grant>> lent(const Principal& who) const = 0;  // principal: the agent
  virtual Result<SpaceRules> rules(const Principal& who, const std::string& space) const = 0;
  virtual Status set_rules(const Principal& who, const std::string& space, const SpaceRules& rules) = 0;

  // An old version again, as a new one. Evidence has one version only.
  virtual Result<uint32_t> restore(const Principal& who, CubeId id, uint32_t version, uint32_t base_version,
                                   std::string why) = 0;
  // The version that was the newest, and its life, at a time; not_found before it was put.
  virtual Result<CubeHeader> as_of(const Principal& who, CubeId id, TimeMs recorded_at) const = 0;

  // The open ones, oldest first; with `all`, every pair of which one took the other's place.
  virtual Result<std::vector<Conflict>> conflicts(const Principal& who, const std::string& space,
                                                  bool all = false) const = 0;
  virtual Status settle(const Principal& who, CubeId newer, CubeId older, Verdict verdict,
                        std::string why) = 0;

  // Expires what is due and evicts down to the cap; a put that passes the cap does so by itself. The same
  // store and time give the same result. The value of a byte is strength, decayed, over the cube's bytes.
  virtual Result<Tended> tend(const Principal& who, const std::string& space) = 0;
  virtual Result<std::vector<Rebuild>> rebuilds(const Principal& who) const = 0;
  virtual Status rebuilt(const Principal& who, CubeId lost) = 0;  // done, or not wanted

  virtual Result<std::vector<JournalEntry>> audit(const Principal& who, const AuditQuery& query) const = 0;

  // Of the whole store, by whoever has its files.
  // Copies the store to a new folder while it goes on working. The manifest comes last: a folder without one
  // is no backup. `by`: whom the journal names.
  virtual Result<Backup> backup(const Principal& by, const std::string& folder) = 0;
  // Takes away what check() names and nobody can miss: edges that lead nowhere, damaged grants and rules. One
  // line for each thing done.
  virtual Result<std::vector<std::string>> repair() = 0;
};

}  // namespace varve

// PrefixDisk: KV that outlives the process, as segments of whole pages in files. Each page is known by its
// hash over everything before it, so that a prompt is looked up page by page, as in a trie, and what two
// prefixes share is stored once. Bounded in bytes: the segments that were used longest ago go first, ends
// before beginnings.
//
// Locked. Nothing here is of worth without the model: what cannot be read is removed and computed again.
#pragma once

#include <list>
#include <map>
#include <mutex>

#include "run/kv/kv_file.h"

namespace varve {

// Where an engine keeps prefixes for its next start.
struct PrefixHome {
  Env* env = nullptr;                     // null: nowhere
  std::string folder;                     // of these files alone
  int64_t disk_bytes = int64_t(1) << 30;  // at most; 0: nothing is written, and what is there is removed
  Hash256 secret;                         // of this home: part of every scope's salt
  int32_t quiet_ms = 5000;                // an engine that has had nothing to do for so long writes them
};

class PrefixDisk {
 public:
  // Finds what is there; damaged files are removed. Those of another model stay: it may be started again.
  static Result<std::unique_ptr<PrefixDisk>> open(const PrefixHome& home, std::shared_ptr<KvPool> pool);

  // How many of the first tokens are here: a multiple of kPageTokens.
  int32_t longest(const KvIdentity& by, std::span<const int32_t> tokens) const;
  // Of those tokens, if they are more than `known` by a page; else of none. over_budget, or corrupt: then it
  // is no longer here.
  Result<KvSnapshot> load(const KvIdentity& by, std::span<const int32_t> tokens, int32_t known = 0);
  // The whole pages of the sequence that are not here yet; their bytes are taken from those used longest ago.
  // Nothing is written when all was forgotten since `epoch`.
  Status save(const KvIdentity& by, std::span<const int32_t> tokens, const KvSnapshot& kv, uint64_t epoch);
  uint64_t epoch() const;  // how often all was forgotten
  Status settle();         // remembers for the next start what was used
  Status forget();         // all of it, from the disk
  int64_t bytes() const;

 private:
  struct Segment {
    uint64_t number = 0;  // its name; the lower, the longer ago it was used
    Hash256 before;
    std::vector<Hash256> chain;
    int32_t first = 0;
    int64_t bytes = 0;
    bool used = false;  // since it got its number
  };
  using Segments = std::list<Segment>;
  struct Place {
    Segments::iterator segment;
    size_t page = 0;
  };

  PrefixDisk(const PrefixHome& home, std::shared_ptr<KvPool> pool) : home_(home), pool_(std::move(pool)) {}
  std::string path(uint64_t number) const;
  Status read_folder();
  void learn(Segment segment);
  // Of the first pages, as long as each is known and its segment is there from its beginning.
  std::vector<Place> places(const KvIdentity& by, std::span<const int32_t> tokens) const;
  Status load_segment(const Segment& segment, const KvIdentity& by, size_t pages, KvBlocks& into) const;
  void touch(Segments::iterator segment);
  Status drop(Segments::iterator segment);
  Status make_room(int64_t bytes, const Hash256& before);

  const PrefixHome home_;
  const std::shared_ptr<KvPool> pool_;
  mutable std::mutex mutex_;
  Segments segments_;  // used longest ago first
  std::map<Hash256, Place> pages_;
  uint64_t last_ = 0, forgotten_ = 0;
  int64_t bytes_ = 0;
};

// Removes every prefix of a folder without an engine.
Status forget_saved_prefixes(Env& env, const std::string& folder);

}  // namespace varve

// PrefixStore: the KV that finished sequences left, for later ones that begin with the same tokens in the
// same scope and under the same adapter. Least recently used first, it gives bytes back when the ledger asks.
// With a disk it finds there what an earlier process left, and leaves there what the next one may want.
//
// Locked: the ledger asks on any thread. Pages are dropped outside the lock.
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "core/budget/ledger.h"
#include "run/engine/prefix_disk.h"
#include "run/model/adapter.h"
#include "run/model/model.h"

namespace varve {

struct PrefixKey {
  std::string scope;
  std::shared_ptr<const Adapter> adapter;  // may be null
};

class PrefixStore : public Shrinker {
 public:
  PrefixStore(std::shared_ptr<const Model> model, std::shared_ptr<KvPool> pool, const PrefixHome& home);
  Status open_disk();  // before all else; without it, or without a folder, there is none

  struct Match {
    KvSnapshot kv;       // may hold more tokens than match
    int32_t tokens = 0;  // that match
  };
  Match longest(const PrefixKey& key, std::span<const Token> tokens);

  // How often all was forgotten. What was computed under an older epoch is not added.
  uint64_t epoch() const;
  // `lasting`: it may be written to the disk.
  void add(const PrefixKey& key, uint64_t epoch, std::span<const Token> tokens, KvSnapshot kv,
           bool lasting = false);
  int32_t known(const PrefixKey& key, std::span<const Token> tokens) const;  // how many of them are here
  bool worth_fetching(const PrefixKey& key, std::span<const Token> tokens) const;
  // Brings from the disk what it knows of these tokens beyond what is here. How many tokens; 0: nothing, for
  // whatever reason: they are computed then.
  int32_t fetch(const PrefixKey& key, std::span<const Token> tokens);
  Status spill();        // the lasting ones, to the disk, as far as its bytes go
  bool unsaved() const;  // there are lasting ones since the last spill
  Status forget();       // all, from the disk too
  void shrink(int64_t bytes) override;
  int64_t bytes() const;       // of distinct pages
  int64_t disk_bytes() const;  // of the files
  // What KV of this scope is saved as, without an adapter; and where its pages come from.
  KvIdentity identity(const std::string& scope) const;
  KvPool& pool() const { return *pool_; }

 private:
  struct Prefix {
    std::string scope;
    const Adapter* adapter = nullptr;
    std::weak_ptr<const Adapter> alive;  // so that another adapter at the same address is not taken for it
    std::vector<Token> tokens;
    KvSnapshot kv;
    bool lasting = false;
    int32_t uses = 0;
  };
  static bool of(const Prefix& prefix, const PrefixKey& key);

  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<KvPool> pool_;
  const PrefixHome home_;
  std::unique_ptr<PrefixDisk> disk_;  // may be null
  mutable std::once_flag once_;
  mutable KvIdentity identity_;  // without a salt
  mutable std::mutex mutex_;
  std::list<Prefix> prefixes_;  // newest use first
  uint64_t forgotten_ = 0;      // times
  bool unsaved_ = false;
};

}  // namespace varve

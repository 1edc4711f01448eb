// PrefixStore: the KV that finished sequences left, for later ones that begin with the same tokens in the
// same scope and under the same adapter. Least recently used first, it gives bytes back when the ledger asks.
//
// Locked: the ledger asks on any thread. Pages are dropped outside the lock.
#pragma once

#include <list>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/budget/ledger.h"
#include "run/kv/kv_pool.h"
#include "run/model/adapter.h"
#include "run/model/tokenizer.h"

namespace varve {

struct PrefixKey {
  std::string scope;
  std::shared_ptr<const Adapter> adapter;  // may be null
};

class PrefixStore : public Shrinker {
 public:
  explicit PrefixStore(std::shared_ptr<const KvPool> pool) : pool_(std::move(pool)) {}

  struct Match {
    KvSnapshot kv;       // may hold more tokens than match
    int32_t tokens = 0;  // that match
  };
  Match longest(const PrefixKey& key, std::span<const Token> tokens);

  // How often the scope was forgotten. What was computed under an older epoch is not added.
  uint64_t epoch(const std::string& scope) const;
  void add(const PrefixKey& key, uint64_t epoch, std::span<const Token> tokens, KvSnapshot kv);
  void forget(const std::string& scope);
  void shrink(int64_t bytes) override;
  int64_t bytes() const;  // of distinct pages

 private:
  struct Prefix {
    std::string scope;
    const Adapter* adapter = nullptr;
    std::weak_ptr<const Adapter> alive;  // so that another adapter at the same address is not taken for it
    std::vector<Token> tokens;
    KvSnapshot kv;
  };
  static bool of(const Prefix& prefix, const PrefixKey& key);

  const std::shared_ptr<const KvPool> pool_;
  mutable std::mutex mutex_;
  std::list<Prefix> prefixes_;                 // newest use first
  std::map<std::string, uint64_t> forgotten_;  // times, by scope
};

}  // namespace varve

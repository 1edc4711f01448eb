// KvPool: the pages of one model and recipe. Booked in the ledger in slabs, one slab for the pages that
// kPageTokens tokens need in all lanes, since a sequence takes and gives back its lanes together.
//
// Locked, because pages may die on any thread (a snapshot dropped by a shrinker). The lock is never held
// while the ledger is asked, which may come back here.
#pragma once

#include <algorithm>
#include <mutex>

#include "core/budget/buffer.h"
#include "run/kv/kv_cache.h"
#include "run/kv/policy.h"

namespace varve {

// Where things are in a page: keys, then values, row after row, then positions.
struct KvPageLayout {
  int64_t key_row = 0, value_row = 0;  // bytes of one token
  int64_t values_at() const { return kPageTokens * key_row; }
  int64_t positions_at() const { return kPageTokens * (key_row + value_row); }
  int64_t bytes() const { return positions_at() + kPageTokens * int64_t(sizeof(int32_t)); }
};

inline KvPageLayout kv_page_layout(const KvShape& shape, const Codec& codec) {
  return {.key_row = codec.bytes_for(shape.key_dim), .value_row = codec.bytes_for(shape.value_dim)};
}
inline int64_t kv_pages_for(int64_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}
// The most that a lane ever holds of so many tokens, when fit() is called at every full page.
inline int64_t kv_resident_tokens(int32_t budget_tokens, int64_t tokens) {
  return budget_tokens == 0 ? tokens : std::min<int64_t>(tokens, int64_t(budget_tokens) + kPageTokens);
}

struct KvSlab;  // one booked Buffer and its free pages

struct KvPage {
  KvPage(std::shared_ptr<KvPool> from, KvSlab* in, std::byte* start)
      : pool(std::move(from)), slab(in), at(start) {}
  KvPage(const KvPage&) = delete;
  ~KvPage();  // back to the pool

  const std::shared_ptr<KvPool> pool;
  KvSlab* const slab;
  std::byte* const at;
};
using KvPagePtr = std::shared_ptr<KvPage>;

class KvPool : public std::enable_shared_from_this<KvPool> {
 public:
  KvPool(Ledger& ledger, KvShape shape, const Codec& codec, std::unique_ptr<KvPolicy> policy,
         int32_t budget_tokens);
  ~KvPool();

  Result<std::vector<KvPagePtr>> take(int64_t pages);  // all of them or none
  int64_t booked_bytes() const;
  Ledger& ledger() const { return ledger_; }

  const KvShape shape;
  const Codec& codec;
  const std::unique_ptr<const KvPolicy> policy;  // null: nothing is ever dropped
  const int32_t budget_tokens;
  const KvPageLayout layout;

 private:
  friend struct KvPage;
  void claim(KvSlab& slab, int64_t pages, std::vector<KvPagePtr>& out);  // with the lock
  void release(KvPage& page);

  Ledger& ledger_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<KvSlab>> slabs_;
};

}  // namespace varve

// KvPool: the pages of one model and recipe. Booked in the ledger in slabs, one slab for the pages that
// kPageTokens tokens need in all lanes, since a sequence takes and gives back its lanes together.
//
// Locked, because pages may die on any thread (a snapshot dropped by a shrinker). The lock is never held
// while the ledger is asked, which may come back here.
#pragma once

#include <algorithm>
#include <mutex>
#include <optional>

#include "core/budget/buffer.h"
#include "run/kv/kv_cache.h"
#include "run/kv/nearer.h"
#include "run/kv/selection.h"

namespace varve {

// Where things are in a page: keys, then values, row after row, then positions, then log-multiplicities where
// a policy merges, then marks where it sees hidden states.
struct KvPageLayout {
  int64_t key_row = 0, value_row = 0;  // bytes of one token
  bool weighted = false, marked = false;
  int64_t values_at() const { return kPageTokens * key_row; }
  int64_t positions_at() const { return kPageTokens * (key_row + value_row); }
  int64_t weights_at() const { return positions_at() + kPageTokens * int64_t(sizeof(int32_t)); }
  int64_t marks_at() const { return weights_at() + (weighted ? kPageTokens * int64_t(sizeof(float)) : 0); }
  int64_t bytes() const { return marks_at() + (marked ? kPageTokens * int64_t(sizeof(float)) : 0); }
};

inline KvPageLayout kv_page_layout(const KvShape& shape, const Codec& codec, const KvNeeds& needs = {}) {
  return {codec.bytes_for(shape.key_dim), codec.bytes_for(shape.value_dim), needs.merges, needs.hidden};
}
inline int64_t kv_pages_for(int64_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}
// The most that a lane ever holds of so many tokens, when fit() is called at every full page.
inline int64_t kv_resident_tokens(int32_t budget_tokens, int64_t tokens) {
  return budget_tokens == 0 ? tokens : std::min<int64_t>(tokens, int64_t(budget_tokens) + kPageTokens);
}
// The most pages of a lane, in the mean over all. Uneven lanes each waste the rest of a page, twice: of what
// they keep, and of what comes until the next fit().
inline int64_t kv_most_pages(int32_t budget_tokens, bool uneven, int64_t tokens) {
  const int64_t even = kv_pages_for(kv_resident_tokens(budget_tokens, tokens));
  return uneven ? std::min(kv_pages_for(tokens), even + 1) : even;
}
// What a cache keeps beside its pages: sums of attention by page, and what it was told of tokens.
inline int64_t kv_notes_bytes(const KvNeeds& needs, int64_t pages, int64_t tokens) {
  const bool sums = needs.attention != KvNeeds::Attention::none;
  return (sums ? pages * kPageTokens * int64_t(sizeof(float)) : 0) +
         (needs.surprise ? tokens * int64_t(sizeof(float)) : 0) + (needs.sentences ? tokens : 0);
}
// Likewise of a cache with a part on the disk, whose positions stay.
inline int64_t kv_tier_notes_bytes(const KvNeeds& needs, int64_t tokens) {
  return kv_notes_bytes(needs, 0, tokens) + tokens * int64_t(sizeof(int32_t));
}

// Policy and allotter of a recipe.
struct KvMethods {
  std::unique_ptr<const KvPolicy> policy;      // null: nothing is ever dropped
  std::unique_ptr<const KvAllotter> allotter;  // null: uniform
  int32_t budget_tokens = 0;
  KvNeeds needs;                               // of both
  std::shared_ptr<const PagePack> pack;        // null: pages stay rows of the codec
  std::shared_ptr<const KvSelector> selector;  // null: a query reads all
  std::string
      saved_as;  // what saved state must agree in: the codec of rows, and what else makes it what it is
};
Result<KvMethods> make_kv_methods(const KvRecipe& recipe);
const Codec& kv_row_codec(const KvRecipe& recipe);  // of a recipe that was parsed
// The most tokens that `rows` queries computed together read, however long a sequence is; nullopt: all.
std::optional<int64_t> kv_most_read(const KvRecipe& recipe, int32_t rows);

class KvSwap;   // run/kv/kv_swap.h
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
  KvPool(Ledger& ledger, KvShape shape, const Codec& codec, KvMethods methods);
  ~KvPool();

  Result<std::vector<KvPagePtr>> take(int64_t pages);  // all of them or none
  int64_t booked_bytes() const;
  Ledger& ledger() const { return ledger_; }

  const KvShape shape;
  const Codec& codec;
  const KvMethods methods;
  const KvPageLayout layout;
  const std::shared_ptr<KvPool> packed;  // where packed pages lie; null without a pack
  // Where pages go that are older than the newest `ram_tokens` of a sequence; 0: none go. And how keys hold
  // their place. All are set before the first cache.
  KvPositions positions;
  int32_t ram_tokens = 0;
  std::shared_ptr<KvSwap> disk;

 private:
  KvPool(Ledger& ledger, KvShape shape, const Codec& codec, const KvPageLayout& layout);  // of packed pages
  friend struct KvPage;
  void claim(KvSlab& slab, int64_t pages, std::vector<KvPagePtr>& out);  // with the lock
  void release(KvPage& page);

  Ledger& ledger_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<KvSlab>> slabs_;
};

// How a cache of a recipe with a pack lies in pages, a lane; and one page, both ways. `from` and `to` are
// pages of one pool and of its packed one.
struct KvPageCounts {
  int64_t rows = 0, packed = 0;
};
KvPageCounts kv_packed_pages(const PagePack& pack, int64_t tokens);
void pack_page(const PagePack& pack, const KvPage& from, KvPage& to);
void unpack_page(const PagePack& pack, const KvPage& from, KvPage& to);
inline KvPageLayout kv_packed_layout(const KvShape& shape, const PagePack& pack) {
  return {.key_row = (pack.key_bytes(shape.key_dim) + kPageTokens - 1) / kPageTokens,
          .value_row = (pack.value_bytes(shape.value_dim) + kPageTokens - 1) / kPageTokens};
}
// How a sequence of so many blocks lies in RAM where the newest `ram_tokens` stay there: pages of all lanes.
// Older ones are staged, two layers of them, where anybody reads all, and returned where queries select.
struct KvTierPages {
  int64_t hot = 0, staged = 0, returned = 0;
};
KvTierPages kv_tier_pages(const KvShape& shape, const KvSelector* selector, int32_t ram_tokens,
                          int64_t blocks);
int64_t kv_most_returned(const KvSelector* selector);  // pages of a lane
// Null: a query reads all. `source`: of pages that lie elsewhere.
std::unique_ptr<Selection> make_selection(const KvPool& pool, KvPageSource* source = nullptr);
std::unique_ptr<KvCache> make_packed_kv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);
// A cache of a pool with a disk: see tier/kv_tiered.cc.
std::unique_ptr<KvCache> make_tiered_kv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);

}  // namespace varve

// KvCache: the attention state of one sequence, all layers; pages of kPageTokens tokens a lane (layer x KV
// head). Pages are shared copy-on-write between sequences. A cache belongs to one thread (the engine's);
// pages and snapshots may die on any.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/budget/ledger.h"
#include "math/ops/ops.h"
#include "run/kv/policy.h"
#include "run/kv/select.h"

namespace varve {

inline constexpr int32_t kPageTokens = 64;

struct KvMethods;  // run/kv/kv_pool.h

// How a process keeps KV; chosen by the user, e.g. "policy=streaming:sinks=4,window=512 pack=f16".
struct KvRecipe {
  std::string policy = "full";  // a spec of run/kv/policy; full: nothing is ever dropped
  std::string pack =
      "f16";  // rows of f32 (exact), f16, bf16, q8_0; or a spec of math/pack, and f16 until then
  std::string select = "all";     // a spec of run/kv/select; all: a query reads everything
  std::string allot = "uniform";  // a spec of run/kv/allot
  int32_t budget_tokens = 0;      // a lane, in the mean over all of them; 0 with "full" only
  int32_t ram_tokens = 0;         // the newest of a sequence; older ones lie on the disk. 0: all
  std::shared_ptr<const KvMethods> methods = nullptr;  // made when it was parsed; null: nobody parsed it
};
// Keys: policy, budget_tokens (default: what the policy asks for), allot, pack, select, ram_tokens. Unknown
// keys and methods are invalid and the known ones listed.
Result<KvRecipe> parse_kv_recipe(std::string_view text);

class KvPool;   // run/kv/kv_pool.h
struct KvPage;  // kPageTokens tokens of one lane

// The state of the first tokens of some sequence, immutable, sharing its pages.
struct KvSnapshot {
  std::vector<std::shared_ptr<KvPage>> pages;  // lane by lane, oldest first
  int32_t tokens = 0;
  int64_t bytes() const;
};

// What a cache holds and what became of the rest, in entries: one token of one lane.
struct KvCounts {
  int64_t kept = 0, dropped = 0, merged = 0;
  int64_t rows = 0, packed = 0, on_disk = 0;  // pages that hold any: in RAM as rows, packed; elsewhere
  int64_t fetched = 0;                        // pages that came back from the disk because a query chose them
  int64_t read = 0, of = 0;  // entries that queries read which selected, and those that they chose from
};

class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual int32_t tokens() const = 0;  // appended to every layer so far, dropped ones included
  virtual int64_t bytes() const = 0;   // of its pages, shared and reserved ones too
  // Makes room for this many more tokens, so that append() cannot fail; over_budget changes nothing. With a
  // policy this counts on a fit() whenever tokens() is a multiple of kPageTokens. A later truncate() or
  // snapshot() may share the newest page again: reserve once more before append() then.
  virtual Status reserve(int32_t more_tokens) = 0;
  // keys [n][kv_heads * key_dim], values [n][kv_heads * value_dim], after RoPE. Every layer gets the same
  // positions. notes().hidden is told before, where it is needed.
  virtual Status append(Ops& ops, int32_t layer, Rows keys, Rows values,
                        std::span<const int32_t> positions) = 0;
  // All pages; those that lie on the disk have positions alone. Valid until the next call that changes the
  // cache.
  virtual KvLanes lanes(int32_t layer) = 0;
  // The pages that these queries, whose tokens are the newest, are to read: fewer than lanes() where the
  // recipe selects, which it does for one row, and for more if it says so. Valid until the next call. Fails
  // where the disk does, or returns other bytes than were written.
  virtual Result<KvLanes> reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) = 0;
  virtual const Codec& codec() const = 0;  // of rows
  // What attending from these positions, the newest appended to the layer, is to count for the policy;
  // without lanes when it asks for nothing. Valid as long as lanes().
  virtual AttendScores scores(int32_t layer, std::span<const int32_t> positions) = 0;
  virtual const KvNeeds& needs() const = 0;  // of policy, allotter and selector
  // What it is to be told (needs().surprise, sentences) of tokens, appended or not.
  virtual KvNotes& notes() = 0;
  virtual KvCounts counts() const = 0;
  // Asks the allotter and the policy, lane by lane, and carries the plan out. What stays keeps its position.
  virtual Status fit() = 0;
  // Forgets the newest, half appended ones too; its pages stay reserved. unsupported when that reaches back
  // before the last fit() that dropped any.
  virtual Status truncate(int32_t tokens) = 0;
  virtual Result<KvSnapshot> snapshot(int32_t first_tokens) const = 0;  // unsupported once any was dropped
  // While it is on, append() writes over what the cache holds at those positions. Only where nothing was
  // dropped and no page is shared.
  virtual void patch(bool on) = 0;
  // For a pause: its pages in an order of its own, and others with the same bytes in their place, or none for
  // as long as nothing but tokens() is asked. What was only reserved is gone with them.
  virtual std::vector<std::shared_ptr<KvPage>> pages() const = 0;
  virtual void set_pages(std::span<const std::shared_ptr<KvPage>> pages) = 0;
};

// invalid: a shape without extent, or one that the pack cannot store (says why), or a policy that was made
// for another model than this one, where that is said. `ledger` must outlive it.
Result<std::shared_ptr<KvPool>> make_kv_pool(Ledger& ledger, const KvShape& shape, const KvRecipe& recipe,
                                             const Hash256* model = nullptr);
// invalid: a snapshot of another pool or shape.
Result<std::unique_ptr<KvCache>> make_kv_cache(std::shared_ptr<KvPool> pool, const KvSnapshot& from = {});
// Worst case of one sequence that shares nothing: what reserve(tokens) takes from the ledger.
int64_t kv_bytes_for(const KvShape& shape, const KvRecipe& recipe, int32_t tokens);

}  // namespace varve

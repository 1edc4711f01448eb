// KvCache: the attention state of one sequence, all layers; pages of a fixed number of tokens a lane
// (layer x KV head). Pages are shared copy-on-write between sequences. The engine thread owns every byte.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/budget/ledger.h"
#include "math/ops/ops.h"

namespace varve {

struct KvShape {
  int32_t layers = 0, kv_heads = 0, key_dim = 0, value_dim = 0;
  auto operator<=>(const KvShape&) const = default;
};

// How a process keeps KV; chosen by the user as "policy=... allot=... pack=... select=...".
struct KvRecipe {
  std::string policy = "full";  // run/kv/policy
  std::string pack = "f16";     // the codec of pages: f16 or f32 (exact)
  int32_t budget_tokens = 0;    // 0: keep all; else each lane is cut to this many by the policy
};
Result<KvRecipe> parse_kv_recipe(
    std::string_view text);  // unknown keys and methods are invalid, known ones listed

class KvPool;   // pages of one shape and recipe, booked in the ledger, with a free list
struct KvPage;  // 64 tokens of one lane

// The state of the first tokens of some sequence, immutable, sharing its pages.
struct KvSnapshot {
  std::vector<std::shared_ptr<KvPage>> pages;
  int32_t tokens = 0;
  int64_t bytes() const;
};

class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual int32_t tokens() const = 0;  // appended so far, dropped ones included
  virtual int64_t bytes() const = 0;   // of its pages, shared ones too
  // Makes room for this many more tokens, so that append() cannot fail; over_budget changes nothing.
  virtual Status reserve(int32_t more_tokens) = 0;
  // keys [n][kv_heads * key_dim], values [n][kv_heads * value_dim], after RoPE. Every layer gets the same
  // positions.
  virtual Status append(Ops& ops, int32_t layer, Rows keys, Rows values,
                        std::span<const int32_t> positions) = 0;
  // One list of pages a KV head; valid until the next call that changes the cache.
  virtual std::span<const std::span<const KvPageView>> lanes(int32_t layer) = 0;
  virtual const Codec& codec() const = 0;
  virtual Status fit() = 0;                     // asks the policy, lane by lane, and carries its plan out
  virtual Status truncate(int32_t tokens) = 0;  // forgets the newest; unsupported once a policy dropped any
  virtual Result<KvSnapshot> snapshot(int32_t first_tokens) const = 0;  // likewise
};

Result<std::shared_ptr<KvPool>> make_kv_pool(Ledger& ledger, const KvShape& shape, const KvRecipe& recipe);
Result<std::unique_ptr<KvCache>> make_kv_cache(std::shared_ptr<KvPool> pool, const KvSnapshot& from = {});
int64_t kv_bytes_for(const KvShape& shape, const KvRecipe& recipe,
                     int32_t tokens);  // worst case of one sequence

}  // namespace varve

// Splices: attention state that was computed elsewhere stands in for reading tokens. Keys are turned from
// where they were computed to where they stand now, once, in f32, into a copy: what they came from is never
// rewritten. `rerotated` leaves it at that; `patched` reads the tokens again whose state differs most
// (CacheBlend, Yao et al. 2024: the deviation of keys and values in the second layer says which).
#pragma once

#include "run/engine/engine.h"

namespace varve {

struct SpliceRoom {  // all of the one engine; `rows` fit into the scratch
  const Model& model;
  const std::shared_ptr<KvPool>& pool;
  Ops& ops;
  Scratch& scratch;
  int32_t rows = 0;
};

// unsupported: a model whose keys hold more than a rotation, or a KV policy. Else null.
Status can_splice(const Model& model, const KvPool& pool);
// Appends what stands for tokens[at, at + count) to `kv`, which ends at `at`. When it fails, `kv` is as
// before. How many of the tokens were read again.
Result<int32_t> splice(const SpliceRoom& room, const Splice& from, std::span<const Token> tokens,
                       const Adapter* adapter, KvCache& kv);

}  // namespace varve

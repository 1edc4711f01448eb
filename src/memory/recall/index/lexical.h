// LexicalIndex: the words of one space, for scores of the BM25 kind. No word is kept, only a 64-bit
// fingerprint of it: two bytes a posting, and nothing that could be read. Removed documents leave the
// statistics at once and their bytes when a quarter is gone.
//
// A search goes by windows of documents, and in a window only over the words that alone can still lift a
// document among the best (MaxScore, Turtle & Flood 1995, with the bounds of blocks, Ding & Suel 2011). What
// it leaves out cannot matter: the result is that of scoring everything.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "memory/recall/index/key_table.h"
#include "memory/recall/index/posting_list.h"
#include "memory/recall/index/snapshot.h"
#include "memory/recall/top.h"

namespace varve {

using TermKey = uint64_t;
TermKey term_key(std::string_view term);

class LexicalIndex {
 public:
  struct Weights {
    double k1 = 1.2, b = 0.75;
  };
  struct QueryTerm {
    TermKey key = 0;
    double weight = 1;
  };
  struct Count {
    TermKey key = 0;
    uint32_t count = 1;
  };
  using Number = uint32_t;  // of a document here; valid until removed or moved

  // `owner` comes back from searches; `terms` are distinct, `length` counts repetitions.
  Number add(uint32_t owner, uint32_t length, std::span<const Count> terms);
  void remove(Number document);
  // Drops the bytes of removed documents; `moved(owner, number)` says where each living one is now.
  bool compaction_is_due() const { return dead_ > 64 && dead_ * 4 > owners_.size(); }
  void compact(const std::function<void(uint32_t, Number)>& moved);
  // Every living document, as it was added.
  using Visit = std::function<void(uint32_t owner, uint32_t length, std::span<const Count> terms)>;
  void each(const Visit& visit) const;

  // For a file; the owners are the caller's to keep. load() into an empty one, with the owner of each
  // document in the order that each() gives.
  Status save(SnapshotWriter& out) const;
  Status load(SnapshotReader& in, std::span<const uint32_t> owners);

  // Offers every document that has any of the terms (which are distinct) and is among the best; `id_of` gives
  // the id of an owner.
  void search(std::span<const QueryTerm> terms, const Weights& weights,
              const std::function<CubeId(uint32_t)>& id_of, Top& top) const;

  size_t size() const { return owners_.size() - dead_; }
  int64_t bytes() const;

 private:
  struct Cursor {
    PostingCursor posting;
    double weight = 0, bound = 0;  // bound: of its part of a score in this window
  };
  using Slots = std::vector<std::pair<uint32_t, uint32_t>>;  // slot of a term, its count
  uint32_t slot_of(TermKey key);
  Number append(uint32_t owner, uint32_t length, Slots& slots);
  std::pair<const uint8_t*, const uint8_t*> forward(Number document) const;

  KeyTable<TermKey> keys_;
  std::vector<PostingList> lists_;  // by slot of keys_
  // By document: whose it is (kGone: removed), its length, and where its distinct terms begin in forward_.
  static constexpr uint32_t kGone = UINT32_MAX;
  std::vector<uint32_t> owners_, lengths_;
  std::vector<uint64_t> starts_;
  std::vector<uint8_t> forward_;  // terms ascending, as steps; odd steps are followed by a count
  size_t dead_ = 0;
  uint64_t total_ = 0;  // of lengths
};

}  // namespace varve

// KvSelector: which tokens of a long lane a query reads. It makes one LaneIndex a lane, which remembers what
// it needs of the tokens and names those worth reading; Selection (run/kv/selection.h) reads them, the first
// and the newest.
//
// Nothing is dropped: the next query may read others. A prompt reads all, unless the plan says otherwise.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/registry.h"
#include "math/ops/ops.h"

namespace varve {

using KvLanes = std::span<const std::span<const KvPageView>>;  // one list of pages a KV head of a layer

// Where pages come from that are not in RAM: their views in a list have positions, and no keys or values.
class KvPageSource {
 public:
  virtual ~KvPageSource() = default;
  // A page of the list of this KV head of the layer that is read now; heads on any thread. The view is valid
  // until the next query if it stays, else until another page is brought for this head.
  virtual Result<KvPageView> bring(size_t head, int32_t page, bool stays) = 0;
};

// How much a query reads of each lane. The newest page, which is not full, is read besides.
struct SelectPlan {
  int32_t pages = 64;     // the best of the rest, or as many tokens
  int32_t sinks = 1;      // pages, the first
  int32_t window = 4;     // pages, the newest
  int32_t estimate = 0;   // tokens whose mean stands for them where they are not read; 0: they are left out
  int32_t near = 0;       // units on either side that come with a chosen one
  int32_t coarse = 0;     // units that are looked at together first; 0: every one is looked at
  int32_t prompts = 0;    // 1: the rows of a prompt that are computed together read what they choose together
  bool written = true;    // whether a written token selects
  bool parts = false;     // whether pages may be read in part
  bool watches = false;   // whether queries of prompts are shown
  bool looks = false;     // whether choosing looks at the keys themselves, all of them
  bool surprise = false;  // what must be told of tokens: see KvNotes
  bool sentences = false;
};

// What keys do not show of a sequence's tokens, by position. Whoever knows says it, if it is asked for.
struct KvNotes {
  std::vector<float> surprise;     // -log p when it was read or written; 0 where nobody knew
  std::vector<uint8_t> sentences;  // 1: it ends one
  Rows hidden;                     // what attention reads of the rows that are appended next, until they are
  void surprised(int32_t position, float nats) {
    if (surprise.size() <= size_t(position)) surprise.resize(size_t(position) + 1);
    surprise[size_t(position)] = nats;
  }
  void cut(int32_t tokens) {
    surprise.resize(std::min(surprise.size(), size_t(tokens)));
    sentences.resize(std::min(sentences.size(), size_t(tokens)));
  }
};

// Tokens of a lane by their place in it; [first, end).
struct LaneStretch {
  int32_t first = 0, end = 0;
  int32_t size() const { return end - first; }
};

struct LaneTokens {
  std::span<const KvPageView> pages;
  const AttendSpec& spec;
  const KvNotes& notes;

  int32_t count() const;
  int32_t full() const;  // tokens of the pages that nothing is appended to
  int32_t position(int32_t place) const {
    return pages[size_t(place) / kAttendTile].positions[size_t(place) % kAttendTile];
  }
  void keys(LaneStretch of, std::vector<float>& out) const;
  void values(LaneStretch of, std::vector<float>& out) const;
};

// Of the heads that share a lane: [row][head][dim].
struct LaneQueries {
  std::span<const float> rows;
  size_t heads = 1, dim = 1;
  int32_t first = 0;  // place of the first row's token
  size_t count() const { return rows.size() / (heads * dim); }
  std::span<const float> at(size_t row, size_t head) const {
    return rows.subspan((row * heads + head) * dim, dim);
  }
  std::vector<float> pooled() const;  // [head][dim], means over the rows
};

class LaneIndex {
 public:
  virtual ~LaneIndex() = default;
  // Remembers tokens of full pages that it has not seen yet; returns how many it knows now. Those after them
  // are read.
  virtual int32_t grow(const LaneTokens& lane) = 0;
  // What to read of `among`; any order, overlaps do no harm.
  virtual void choose(const LaneQueries& queries, const LaneTokens& lane, LaneStretch among,
                      std::vector<LaneStretch>& out) = 0;
  virtual void watch(const LaneQueries&) {}  // those of a prompt, if the plan watches
  // Tokens at and after it are gone, or others. Returns how many it still knows.
  virtual int32_t forget(int32_t from_place) = 0;
};

class KvSelector {
 public:
  virtual ~KvSelector() = default;
  SelectPlan plan;
  virtual std::unique_ptr<LaneIndex> index(int32_t key_dim) const = 0;
  // What an index takes at most for a lane of so many pages.
  virtual int64_t bytes_for(int32_t key_dim, int64_t pages) const = 0;
};

const Registry<KvSelector>& kv_selectors();

namespace kv_select {  // one file a method, one line in all.def
using Made = Registry<KvSelector>::Made;
// The options that all have: pages, sinks, window, estimate, near, coarse, prompts. `own` are read into
// before, by whoever has more.
Result<SelectPlan> read_plan(const Spec& spec, SelectPlan plan = {});
// The options of `spec` with these names, which leave it.
Spec take_options(Spec& spec, std::initializer_list<const char*> names);
}  // namespace kv_select

}  // namespace varve

// Pages of a sequence that lie on the disk (ColdPages), and the two ways in which they come back: those of a
// layer, all of them, the next layer's read ahead (LayerStages); or one by one, as a query asks for them, and
// those that were asked for last stay (ReturnedPages).
#pragma once

#include <future>
#include <mutex>

#include "run/kv/kv_swap.h"

namespace varve {

// Of the oldest tokens, in blocks: a page a lane.
class ColdPages {
 public:
  explicit ColdPages(const KvPool& pool) : pool_(pool) {}
  ColdPages(const ColdPages&) = delete;
  ~ColdPages();
  size_t blocks() const { return slots_.size(); }
  Status write(std::span<const KvPagePtr> block);  // the next block, all of it or nothing
  // Of lanes from `lane` on, all of one layer.
  Status read(size_t block, int32_t lane, std::span<const KvPagePtr> pages) const;

 private:
  const KvPool& pool_;
  std::vector<std::vector<KvSwap::Slot>> slots_;  // block by block: one a layer
};

// Two layers' cold pages: of the one that is read, and of the next.
class LayerStages {
 public:
  LayerStages(const ColdPages& cold, const KvShape& shape)
      : cold_(cold), layers_(shape.layers), heads_(shape.kv_heads) {}
  ~LayerStages() { settle().ignore("it is not read any more"); }
  int64_t pages() const { return int64_t(stages_[0].pages.size() + stages_[1].pages.size()); }
  int64_t lacks(int64_t blocks) const;  // pages, to hold so many
  void give(int64_t blocks, std::vector<KvPagePtr>& from);
  void clear();
  Status settle();              // nothing is being read any more
  Status bring(int32_t layer);  // what was read ahead, or is read now; then the next layer's are asked for
  const KvPage& at(size_t block, int32_t head) const {
    return *stages_[now_].pages[block * size_t(heads_) + size_t(head)];
  }

 private:
  struct Stage {
    int32_t layer = -1;
    size_t blocks = 0;  // that were read
    std::vector<KvPagePtr> pages;
    std::future<Status> reading;
  };
  Status read(Stage& stage, int32_t layer, size_t from, size_t to) const;
  void read_ahead(int32_t layer);

  const ColdPages& cold_;
  const int32_t layers_, heads_;
  size_t now_ = 0;
  Stage stages_[2];
};

// At most `most` a lane, unless a query needs more at once. Lanes may be asked on different threads.
class ReturnedPages {
 public:
  ReturnedPages(const ColdPages& cold, KvPool& pool, int64_t most)
      : cold_(cold),
        pool_(pool),
        most_(size_t(most)),
        lanes_(size_t(pool.shape.layers * pool.shape.kv_heads)) {}
  int64_t pages() const;
  int64_t fetched() const;             // pages that were read from the disk
  int64_t lacks(int64_t pages) const;  // to hold so many a lane
  void give(std::vector<KvPagePtr>& from);
  void clear();
  void next() { ++query_; }  // another query: what was brought for the last need not stay
  // It stays until the next query, or until another is brought to the lane.
  Result<const KvPage*> bring(int32_t lane, size_t block, bool stays);

 private:
  struct Frame {
    int64_t block = -1;             // none
    int64_t used = -1, stays = -1;  // the last query that it did so for
    KvPagePtr page;
  };
  struct Lane {
    std::vector<Frame> frames;
    int64_t fetched = 0;
  };
  Result<Frame*> room(Lane& lane);
  void trim(Lane& lane);
  Result<KvPagePtr> take();

  const ColdPages& cold_;
  KvPool& pool_;
  const size_t most_;
  int64_t query_ = 0;
  std::vector<Lane> lanes_;
  std::mutex mutex_;
  std::vector<KvPagePtr> free_;
};

}  // namespace varve

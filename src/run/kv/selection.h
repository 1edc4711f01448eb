// Selection: what a selector remembers of one sequence's pages, and the pages that a query reads because of
// it. Remembered lazily, a full page once; read again after forget().
#pragma once

#include <memory>

#include "core/budget/ledger.h"
#include "math/ops/ops.h"
#include "run/kv/select.h"

namespace varve {

class Selection {
 public:
  // `lanes`: of all layers.
  Selection(std::shared_ptr<const KvSelector> selector, Ledger& ledger, size_t lanes, int32_t key_dim,
            int32_t value_dim);
  Selection(const Selection&) = delete;
  ~Selection();

  // One list of pages a KV head, for the one query of each head in `query` [1][heads * key_dim]. `lanes`: all
  // pages of the KV heads, whose first is lane `first` of the cache. Valid until the next call for that lane.
  // When the ledger has no room for what is to be remembered, it is all pages.
  std::span<const std::span<const KvPageView>> choose(Ops& ops, size_t first,
                                                      std::span<const std::span<const KvPageView>> lanes,
                                                      Rows query, const AttendSpec& spec);
  // Of a lane of so many pages, with some room to grow.
  static int64_t bytes_for(const KvSelector& selector, int32_t key_dim, int32_t value_dim, int64_t pages);
  void forget(int32_t from_position);  // tokens at and after it are gone, or others
  int64_t bytes() const { return booked_.bytes(); }
  int64_t read() const { return read_; }  // tokens of lanes so far, and of how many
  int64_t of() const { return of_; }

 private:
  struct Lane;
  bool remember(Ops& ops, std::span<Lane> lanes, std::span<const std::span<const KvPageView>> pages,
                const AttendSpec& spec);

  std::shared_ptr<const KvSelector> selector_;
  Ledger& ledger_;
  int32_t key_dim_, value_dim_;
  std::vector<Lane> lanes_;
  std::vector<std::span<const KvPageView>> chosen_;
  Reservation booked_;
  int64_t booked_pages_ = 0, read_ = 0, of_ = 0;
};

}  // namespace varve

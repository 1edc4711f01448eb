// Selection: what a selector remembers of one sequence, and the tokens that its queries read because of it.
// Remembered lazily, when a query selects; anew after forget().
#pragma once

#include <memory>

#include "core/budget/ledger.h"
#include "run/kv/policy.h"
#include "run/kv/select.h"

namespace varve {

class Selection {
 public:
  Selection(std::shared_ptr<const KvSelector> selector, Ledger& ledger, const KvShape& shape);
  Selection(const Selection&) = delete;
  ~Selection();

  // One list of pages a KV head, for the queries of one sequence in `query` [rows][heads * key_dim], whose
  // tokens are the newest of `lanes`: all pages of the layer's KV heads. Valid until the next call. When the
  // ledger has no room for what is to be remembered, it is all pages.
  std::span<const std::span<const KvPageView>> choose(Ops& ops, int32_t layer,
                                                      std::span<const std::span<const KvPageView>> lanes,
                                                      Rows query, const AttendSpec& spec,
                                                      const KvNotes& notes);
  // Of a sequence of lanes of so many pages, with some room to grow.
  static int64_t bytes_for(const KvSelector& selector, const KvShape& shape, int64_t pages);
  void forget(int32_t from_position);  // tokens at and after it are gone, or others
  int64_t bytes() const { return booked_.bytes(); }
  int64_t read() const { return read_; }  // tokens of lanes so far, and of how many
  int64_t of() const { return of_; }

 private:
  struct Lane;
  struct Gathered;
  bool book(int64_t pages);
  void estimate(Lane& lane, const LaneTokens& tokens) const;
  KvPageView stand_in(Lane& lane) const;
  void choose_one(Lane& lane, Gathered& gathered, const LaneTokens& tokens, const LaneQueries& queries);

  std::shared_ptr<const KvSelector> selector_;
  Ledger& ledger_;
  const KvShape shape_;
  std::vector<Lane> lanes_;
  std::vector<Gathered> gathered_;  // of the KV heads of one layer
  std::vector<std::span<const KvPageView>> chosen_;
  Reservation booked_;
  int64_t booked_pages_ = 0, read_ = 0, of_ = 0;
};

}  // namespace varve

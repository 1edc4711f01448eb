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
  // `source` brings the pages that the lists only name; null: they all lie in RAM.
  Selection(std::shared_ptr<const KvSelector> selector, Ledger& ledger, const KvShape& shape,
            KvPageSource* source = nullptr);
  Selection(const Selection&) = delete;
  ~Selection();

  // One list of pages a KV head, for the queries of one sequence in `query` [rows][heads * key_dim], whose
  // tokens are the newest of `lanes`: all pages of the layer's KV heads. Valid until the next call. When the
  // ledger has no room for what is to be remembered, it is all pages. Fails when a page cannot be brought.
  Result<KvLanes> choose(Ops& ops, int32_t layer, KvLanes lanes, Rows query, const AttendSpec& spec,
                         const KvNotes& notes);
  // Whether so many queries computed together choose; else they read all.
  bool chooses(int32_t rows) const;
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
  Status learn(Lane& lane, size_t head, const LaneTokens& tokens) const;
  void estimate(Lane& lane, const LaneTokens& tokens) const;
  KvPageView stand_in(Lane& lane) const;
  void choose_one(Lane& lane, const LaneTokens& tokens, const LaneQueries& queries) const;
  Status read(Lane& lane, size_t head, const LaneTokens& tokens);
  Result<KvPageView> page(size_t head, const LaneTokens& tokens, int32_t page, bool stays) const;

  std::shared_ptr<const KvSelector> selector_;
  Ledger& ledger_;
  const KvShape shape_;
  KvPageSource* const source_;
  std::vector<Lane> lanes_;
  std::vector<Gathered> gathered_;  // of the KV heads of one layer
  std::vector<std::span<const KvPageView>> chosen_;
  std::vector<Status> failed_;  // likewise
  Reservation booked_;
  int64_t booked_pages_ = 0, read_ = 0, of_ = 0;
};

}  // namespace varve

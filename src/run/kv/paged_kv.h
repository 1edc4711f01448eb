// PagedKv: the cache of kv_cache.h. A lane is a list of pages; every lane of a layer grows alike, but a
// policy may keep other tokens in each, and an allotter more of some. A page that somebody else holds too is
// never written: make_room() puts a copy in its place first.
#pragma once

#include <limits>

#include "run/kv/kv_pool.h"

namespace varve {

struct PagedLane {
  std::vector<KvPagePtr> pages;  // those in use, then those reserved
  std::vector<KvPageView> views;
  std::vector<float> seen;  // attention that each token received; empty unless the policy asks
  int32_t tokens = 0;       // resident
};

// What a plan is made from, lane by lane in the same room.
struct FitRoom {
  std::span<const int32_t> positions;  // of the lane
  std::span<float> keys;               // room for a lane's
  std::vector<float>& surprise;
};

class PagedKv : public KvCache {
 public:
  PagedKv(std::shared_ptr<KvPool> pool, const KvSnapshot& from);

  int32_t tokens() const override { return *std::min_element(appended_.begin(), appended_.end()); }
  int64_t bytes() const override;
  Status reserve(int32_t more_tokens) override;
  Status append(Ops& ops, int32_t layer, Rows keys, Rows values, std::span<const int32_t> positions) override;
  KvLanes lanes(int32_t layer) override;
  Result<KvLanes> reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) override;
  const Codec& codec() const override { return pool_->codec; }
  AttendScores scores(int32_t layer, std::span<const int32_t> positions) override;
  const KvNeeds& needs() const override { return pool_->methods.needs; }
  KvNotes& notes() override { return notes_; }
  KvCounts counts() const override;
  Status fit() override;
  Status truncate(int32_t tokens) override;
  Result<KvSnapshot> snapshot(int32_t first_tokens) const override;
  void patch(bool on) override { patching_ = on; }
  std::vector<KvPagePtr> pages() const override;
  void set_pages(std::span<const KvPagePtr> pages) override;

 private:
  std::byte* key_at(const PagedLane& lane, int64_t token) const;
  std::byte* value_at(const PagedLane& lane, int64_t token) const;
  int32_t* position_at(const PagedLane& lane, int64_t token) const;
  float* weight_at(const PagedLane& lane, int64_t token) const;
  float* mark_at(const PagedLane& lane, int64_t token) const;
  std::span<PagedLane> layer_lanes(int32_t layer);

  struct Room {
    int64_t more = 0;                                       // tokens
    int64_t at_most = std::numeric_limits<int64_t>::max();  // resident at one time
    bool compaction = false;                                // any page may be written, not only the newest
  };
  Status make_room(std::span<PagedLane> lanes, const Room& room);
  Status reserve_uneven(int32_t more_tokens);
  Status reserve_notes(int32_t more_tokens);
  int64_t page_count() const;
  Result<std::vector<KvPagePtr>> take(int64_t pages);  // reserved ones first
  bool over_budget() const;
  Status drop_rest();
  std::vector<int32_t> allotments(std::span<const int32_t> positions) const;
  std::vector<float> marks(const PagedLane& lane) const;  // empty unless needed
  KvPlan plan(size_t lane, size_t keep, const FitRoom& room);
  void absorb(PagedLane& lane, const KvPlan& plan);  // what merges, into what stays
  void mix(PagedLane& lane, std::span<const int32_t> group, const KvPlan& plan);
  void keep(PagedLane& lane, const KvPlan& plan);     // compacts
  void cut(PagedLane& lane, int32_t tokens);          // whole pages stay reserved
  void refresh(PagedLane& lane, size_t first_page);   // views of this page and the later ones
  Status mark(Ops& ops, int32_t layer, size_t rows);  // marks of the rows that are appended next
  void write(Ops& ops, PagedLane& lane, Rows keys, Rows values, std::span<const int32_t> positions);
  void write_over(Ops& ops, PagedLane& lane, Rows keys, Rows values, std::span<const int32_t> positions);

  std::shared_ptr<KvPool> pool_;
  std::vector<PagedLane> lanes_;                         // layer by layer
  std::vector<std::span<const KvPageView>> lane_views_;  // likewise
  std::vector<int32_t> appended_;                        // to each layer
  int32_t floor_ = 0;                                    // tokens() when a policy last dropped any
  std::vector<KvPagePtr> spare_;              // reserved, for whichever lane grows: uneven ones only
  std::vector<std::span<float>> seen_views_;  // of one layer
  KvNotes notes_;
  std::vector<float> memo_;   // of the policy, lane by lane
  std::vector<float> marks_;  // of the rows that are appended, [row][kv_heads]; empty unless needed
  Reservation noted_;         // of what was seen and told
  KvCounts gone_;
  std::unique_ptr<Selection> selection_;  // null: a query reads all
  Nearer nearer_;
  bool patching_ = false;
};

}  // namespace varve

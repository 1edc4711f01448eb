// ForwardedKv: a cache that hands every call on to another one. Who wants to see or change a few of them
// derives from it.
#pragma once

#include "run/kv/kv_cache.h"

namespace varve {

class ForwardedKv : public KvCache {
 public:
  explicit ForwardedKv(std::unique_ptr<KvCache> of) : of_(std::move(of)) {}

  int32_t tokens() const override { return of_->tokens(); }
  int64_t bytes() const override { return of_->bytes(); }
  Status reserve(int32_t more_tokens) override { return of_->reserve(more_tokens); }
  Status append(Ops& ops, int32_t layer, Rows keys, Rows values,
                std::span<const int32_t> positions) override {
    return of_->append(ops, layer, keys, values, positions);
  }
  KvLanes lanes(int32_t layer) override { return of_->lanes(layer); }
  Result<KvLanes> reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) override {
    return of_->reads(ops, layer, queries, how);
  }
  const Codec& codec() const override { return of_->codec(); }
  AttendScores scores(int32_t layer, std::span<const int32_t> positions) override {
    return of_->scores(layer, positions);
  }
  const KvNeeds& needs() const override { return of_->needs(); }
  KvNotes& notes() override { return of_->notes(); }
  KvCounts counts() const override { return of_->counts(); }
  Status fit() override { return of_->fit(); }
  Status truncate(int32_t tokens) override { return of_->truncate(tokens); }
  Result<KvSnapshot> snapshot(int32_t first_tokens) const override { return of_->snapshot(first_tokens); }
  void patch(bool on) override { of_->patch(on); }
  std::vector<std::shared_ptr<KvPage>> pages() const override { return of_->pages(); }
  void set_pages(std::span<const std::shared_ptr<KvPage>> pages) override { of_->set_pages(pages); }

 protected:
  const std::unique_ptr<KvCache> of_;
};

}  // namespace varve

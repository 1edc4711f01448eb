// For selectors that remember every unit, a page or a stretch of text, by a few rows: a query's product with
// a row says how large a logit behind it is.
#pragma once

#include <algorithm>

#include "run/kv/select.h"

namespace varve::kv_select {

// What a unit is.
struct Units {
  enum class Kind : uint8_t { pages, sentences, surprise };
  Kind kind = Kind::pages;
  int32_t least = 1, most = int32_t(kAttendTile);  // tokens of the others
  float gamma = 1;  // surprise: a unit begins where it is so many deviations above the mean of late
  bool told(const LaneTokens& lane, int32_t place) const;  // whether that is known of this token
  bool begins(const LaneTokens& lane,
              LaneStretch unit) const;  // whether the token after `unit` begins another
};

class RowSelector : public KvSelector {
 public:
  Units units;
  struct Shape {
    int32_t rows = 0, width = 0;
  };
  virtual Shape shape(int32_t key_dim) const = 0;
  // keys [tokens][key_dim] of a unit to out [rows][width].
  virtual void remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const = 0;
  // A query as the rows see it.
  virtual void look(std::span<const float> query, std::span<float> out) const {
    std::copy(query.begin(), query.end(), out.begin());
  }
  std::unique_ptr<LaneIndex> index(int32_t key_dim) const final;
  int64_t bytes_for(int32_t key_dim, int64_t pages) const final;
};

// The `rows` keys of a unit that differ most from its mean, in their order: those that a query is most likely
// to single out. InfLLM asks instead which keys their neighbours attended to.
class Landmarks : public RowSelector {
 public:
  explicit Landmarks(int32_t rows) : rows_(rows) {}
  Shape shape(int32_t key_dim) const override { return {rows_, key_dim}; }
  void remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const override;

 private:
  int32_t rows_;
};

// Means of as many neighbouring keys, `rows` of them a unit.
class Means : public RowSelector {
 public:
  explicit Means(int32_t rows) : rows_(rows) {}
  Shape shape(int32_t key_dim) const override { return {rows_, key_dim}; }
  void remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const override;

 private:
  int32_t rows_;
};

}  // namespace varve::kv_select

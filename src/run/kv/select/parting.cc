// k-means (Lloyd 1982) from keys far apart (Gonzalez 1985), in the space where the square of a distance is by
// how much the logits of two keys differ, in the mean over the queries.
#include "run/kv/select/parting.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/kernel/kernel.h"

namespace varve::kv_select {
namespace {

constexpr size_t kSampled = 2;  // the keys that means are found with: one in so many
constexpr int32_t kRounds = 2;
// What every direction counts beside what queries look along, in the mean: so much for queries unlike those.
constexpr float kUnseen = 0.3f;

// L of the moments M + c I = L L^T (Cholesky), its lower triangle: |L^T k|^2 is the sum of (q k)^2.
std::vector<float> root_of(Moments moments, size_t dim) {
  float trace = 0;
  for (size_t d = 0; d < dim; ++d) trace += moments[d * (d + 1) / 2 + d];
  const float unseen = trace > 0 ? kUnseen * trace / float(dim) : 1.f;
  for (size_t d = 0; d < dim; ++d) {
    float* row = &moments[d * (d + 1) / 2];
    row[d] += unseen;
    for (size_t e = 0; e <= d; ++e) {
      const float* above = &moments[e * (e + 1) / 2];
      float rest = row[e];
      for (size_t i = 0; i < e; ++i) rest -= row[i] * above[i];
      row[e] = e < d ? rest / above[e] : std::sqrt(std::max(rest, unseen / 2));
    }
  }
  return moments;
}

// L^T of every key.
std::vector<float> seen(std::span<const float> keys, size_t dim, const Moments& moments) {
  if (moments.empty()) return {keys.begin(), keys.end()};
  const std::vector<float> root = root_of(moments, dim);
  std::vector<float> out(keys.size());
  for (size_t at = 0; at < keys.size(); at += dim) {
    for (size_t d = 0; d < dim; ++d) {
      const float* row = &root[d * (d + 1) / 2];
      for (size_t e = 0; e <= d; ++e) out[at + e] += row[e] * keys[at + d];
    }
  }
  return out;
}

class Lloyd {
 public:
  Lloyd(std::vector<float> rows, size_t dim, size_t lists)
      : rows_(std::move(rows)), dim_(dim), lists_(lists), means_(lists * dim), nearest_(rows_.size() / dim) {}

  Parted run(std::span<const float> keys) {
    begin();
    for (int32_t round = 0; round < kRounds; ++round) {
      assign(kSampled);
      average(rows_, kSampled);
    }
    assign(1);
    average(keys, 1);
    return {std::move(means_), std::move(nearest_)};
  }

 private:
  // Each list begins with the key that lies farthest from those of the lists before.
  void begin() {
    std::vector<float> squares(nearest_.size()), products(nearest_.size());
    for (size_t i = 0; i < rows_.size(); ++i) squares[i / dim_] += rows_[i] * rows_[i];
    std::vector<float> apart(nearest_.size(), std::numeric_limits<float>::infinity());
    for (size_t list = 0, next = 0; list < lists_; ++list) {
      seeds_.push_back(next);
      std::copy_n(&rows_[next * dim_], dim_, &means_[list * dim_]);
      multiply(rows_, &means_[list * dim_], products);
      const float own = squares[next];
      for (size_t i = 0; i < apart.size(); ++i)
        apart[i] = std::min(apart[i], squares[i] + own - 2 * products[i]);
      next = size_t(std::max_element(apart.begin(), apart.end()) - apart.begin());
    }
  }
  // To each token, every `step`-th, its nearest mean: the first of those that are as near.
  void assign(size_t step) {
    std::vector<float> halves(lists_), products(lists_);
    for (size_t i = 0; i < means_.size(); ++i) halves[i / dim_] += means_[i] * means_[i] / 2;
    for (size_t at = 0; at < nearest_.size(); at += step) {
      multiply(means_, &rows_[at * dim_], products);
      for (size_t i = 0; i < lists_; ++i) products[i] -= halves[i];
      nearest_[at] = uint16_t(std::max_element(products.begin(), products.end()) - products.begin());
    }
  }
  // A list without tokens has the one that it began with.
  void average(std::span<const float> rows, size_t step) {
    std::vector<int32_t> counts(lists_);
    std::fill(means_.begin(), means_.end(), 0.f);
    for (size_t at = 0; at < nearest_.size(); at += step) {
      const size_t list = nearest_[at];
      ++counts[list];
      for (size_t d = 0; d < dim_; ++d) means_[list * dim_ + d] += rows[at * dim_ + d];
    }
    for (size_t list = 0; list < lists_; ++list) {
      if (counts[list] == 0) std::copy_n(&rows[seeds_[list] * dim_], dim_, &means_[list * dim_]);
      for (size_t d = 0; d < dim_ && counts[list] > 0; ++d) means_[list * dim_ + d] /= float(counts[list]);
    }
  }
  void multiply(const std::vector<float>& rows, const float* by, std::vector<float>& products) const {
    for (size_t first = 0; first < products.size(); first += kAttendTile) {
      const size_t n = std::min(kAttendTile, products.size() - first);
      kernels().score_rows[size_t(Format::f32)](&rows[first * dim_], n, by, 1, dim_, 1, &products[first],
                                                nullptr);
    }
  }

  const std::vector<float> rows_;
  const size_t dim_, lists_;
  std::vector<float> means_;
  std::vector<uint16_t> nearest_;
  std::vector<size_t> seeds_;
};

}  // namespace

void add_query(std::span<const float> query, Moments& moments) {
  const size_t dim = query.size();
  moments.resize(dim * (dim + 1) / 2);
  for (size_t d = 0; d < dim; ++d) {
    float* row = &moments[d * (d + 1) / 2];
    for (size_t e = 0; e <= d; ++e) row[e] += query[d] * query[e];
  }
}

Parted part(std::span<const float> keys, size_t dim, size_t lists, const Moments& moments) {
  return Lloyd(seen(keys, dim, moments), dim, lists).run(keys);
}

}  // namespace varve::kv_select

// What rows would add to a gradient, measured without making it: the square of d^T x is a sum over pairs of
// rows. Each row's share is summed alone and the shares in order, whatever the threads do.
#include <numeric>
#include <vector>

#include "math/ops/tile.h"
#include "math/ops/train.h"

namespace varve {
namespace {

const float* row(Rows rows, int32_t index) {
  return RowsAccess::row(rows, index);
}

double dot_of(Rows rows, int32_t i, int32_t j) {
  return double(kernels().dot(row(rows, i), row(rows, j), nullptr, size_t(rows.width())));
}

double sum(const std::vector<double>& shares) {
  return std::accumulate(shares.begin(), shares.end(), 0.0);
}

}  // namespace

double TrainOps::outer_squares(Rows d, Rows x) {
  CHECK(d.count() == x.count(), "a pair for each row");
  std::vector<double> shares(size_t(d.count()));
  each(d, [&](int32_t i) {
    double share = dot_of(d, i, i) * dot_of(x, i, i);
    for (int32_t j = 0; j < i; ++j) share += 2 * dot_of(d, i, j) * dot_of(x, i, j);
    shares[size_t(i)] = share;
  });
  return sum(shares);
}

double TrainOps::scatter_squares(Rows d, std::span<const int32_t> rows) {
  CHECK(int32_t(rows.size()) == d.count(), "a place for each row");
  std::vector<double> shares(rows.size());
  each(d, [&](int32_t i) {
    double share = dot_of(d, i, i);
    for (int32_t j = 0; j < i; ++j) {
      if (rows[size_t(i)] == rows[size_t(j)]) share += 2 * dot_of(d, i, j);
    }
    shares[size_t(i)] = share;
  });
  return sum(shares);
}

void TrainOps::outer_rows_add(Rows d, Rows x, int32_t first, std::span<const int32_t> rows,
                              std::span<float> out) {
  CHECK(d.count() == x.count() && out.size() == rows.size() * size_t(x.width()), "a row for each place");
  pool_.run(int64_t(rows.size()), [&](int64_t i) {
    const int32_t column = rows[size_t(i)] - first;
    if (column < 0 || column >= d.width()) return;
    float* to = out.data() + i * x.width();
    for (int32_t t = 0; t < x.count(); ++t)
      kernels().mix(row(d, t) + column, 1, row(x, t), 0, size_t(x.width()), to);
  });
}

double TrainOps::dot(Rows d, std::span<const float> other) {
  CHECK(other.size() == size_t(d.count()) * size_t(d.width()), "two of a shape");
  const auto width = size_t(d.width());
  std::vector<double> shares(size_t(d.count()));
  each(d, [&](int32_t i) {
    shares[size_t(i)] = double(kernels().dot(row(d, i), other.data() + size_t(i) * width, nullptr, width));
  });
  return sum(shares);
}

}  // namespace varve

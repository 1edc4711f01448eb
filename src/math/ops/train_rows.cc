// The way back through norms, activations and the loss, a row at a time, and gradients measured unmade. What
// is summed over rows is summed in parts of kPart rows and the parts in order, whatever the threads do.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "math/ops/tile.h"
#include "math/ops/train.h"

namespace varve {
namespace {

constexpr int32_t kPart = 64;  // rows that one task sums

float* row(Rows rows, int32_t index) {
  return RowsAccess::row(rows, index);
}

// sums += of task(first row, rows, its own sums), over all parts of x.
template <class Task>
void in_parts(ThreadPool& pool, int32_t count, std::span<float> sums, const Task& task) {
  const int32_t parts = (count + kPart - 1) / kPart;
  std::vector<float> apart(sums.size() * size_t(parts));
  pool.run(parts, [&](int64_t part) {
    const auto first = int32_t(part) * kPart;
    task(first, std::min(kPart, count - first), apart.data() + size_t(part) * sums.size());
  });
  for (size_t part = 0; part < size_t(parts); ++part) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += apart[part * sums.size() + i];
  }
}

double dot_of(Rows rows, int32_t i, int32_t j) {
  return double(kernels().dot(row(rows, i), row(rows, j), nullptr, size_t(rows.width())));
}

double sum(const std::vector<double>& shares) {
  return std::accumulate(shares.begin(), shares.end(), 0.0);
}

}  // namespace

void TrainOps::each(Rows x, const std::function<void(int32_t)>& task) {
  const int32_t parts = (x.count() + kPart - 1) / kPart;
  pool_.run(parts, [&](int64_t part) {
    const int32_t end = std::min(int32_t(part + 1) * kPart, x.count());
    for (int32_t i = int32_t(part) * kPart; i < end; ++i) task(i);
  });
}

void TrainOps::column_sums_add(Rows d, std::span<float> sums) {
  CHECK(int32_t(sums.size()) == d.width(), "shapes of a sum");
  in_parts(pool_, d.count(), sums, [&](int32_t first, int32_t count, float* to) {
    for (int32_t i = first; i < first + count; ++i) {
      for (int32_t j = 0; j < d.width(); ++j) to[j] += row(d, i)[j];
    }
  });
}

void TrainOps::rms_norm_back(const NormBack& norm, std::span<float> dweight) {
  const Rows x = norm.x;
  const int32_t group = norm.group == 0 ? x.width() : norm.group;
  CHECK(x.width() % group == 0 && x.count() == norm.d.count() && x.count() == norm.dx.count() &&
            x.width() == norm.d.width() && x.width() == norm.dx.width(),
        "shapes of a norm");
  CHECK(dweight.empty() || int32_t(dweight.size()) == group, "a slope for each weight");
  std::vector<float> weight;
  if (!norm.weight.empty()) {
    check_matrix(norm.weight);
    CHECK(norm.weight.cols == group, "a weight for each value");
    weight.resize(size_t(group));
    decode_part(norm.weight, 0, 0, group, weight.data());
  }
  const float* by = weight.empty() ? nullptr : weight.data();
  const Kernels& k = kernels();
  in_parts(pool_, x.count(), dweight, [&](int32_t first, int32_t count, float* sums) {
    for (int32_t i = first; i < first + count; ++i) {
      for (int32_t at = 0; at < x.width(); at += group) {
        const float *from = row(x, i) + at, *d = row(norm.d, i) + at;
        const auto n = size_t(group);
        const auto factor = float(1 / std::sqrt(k.squares(from, 0, n) / group + double(norm.epsilon)));
        const float pull = k.dot(from, d, by, n) * factor * factor * factor / float(group);
        k.normalize_back(from, by, d, factor, pull, n, row(norm.dx, i) + at,
                         dweight.empty() ? nullptr : sums);
      }
    }
  });
}

void TrainOps::activate_times_back(Activation kind, Rows gate, Rows up, Rows d) {
  CHECK(gate.count() == up.count() && gate.width() == up.width() && d.count() == gate.count() &&
            d.width() == gate.width(),
        "shapes of a gate");
  each(gate, [&](int32_t i) {
    kernels().activate_back[size_t(kind)](row(gate, i), row(up, i), row(d, i), size_t(gate.width()));
  });
}

void TrainOps::tally(Rows logits, int32_t first, std::span<const int32_t> targets, const Tally& tally) {
  CHECK(int32_t(targets.size()) == logits.count(), "a target for each row");
  each(logits, [&](int32_t i) {
    float* values = row(logits, i);
    const auto n = size_t(logits.width()), at = size_t(i);
    const int32_t target = targets[at] - first;
    if (target >= 0 && target < logits.width()) tally.picked[at] = values[target];
    const float largest = std::max(tally.largest[at], kernels().max(values, n));
    const float before = tally.sum[at] == 0 ? 0 : tally.sum[at] * std::exp(tally.largest[at] - largest);
    tally.sum[at] = before + kernels().exp_sum(values, largest, n);
    tally.largest[at] = largest;
  });
}

void TrainOps::cross_entropy_back(Rows logits, int32_t first, const Labels& labels) {
  each(logits, [&](int32_t i) {
    float* values = row(logits, i);
    const auto n = size_t(logits.width()), at = size_t(i);
    if (labels.weights[at] == 0) return void(std::fill_n(values, n, 0.f));
    kernels().exp_sum(values, labels.log_sums[at], n);
    const int32_t target = labels.targets[at] - first;
    if (target >= 0 && target < logits.width()) values[target] -= 1;
    kernels().scale(values, labels.weights[at], n);
  });
}

void TrainOps::cross_entropy_tallied(Rows tallied, std::span<const float> sums, const Labels& labels) {
  each(tallied, [&](int32_t i) {
    const auto at = size_t(i);
    const float weight = labels.weights[at];
    if (weight == 0) return void(std::fill_n(row(tallied, i), tallied.width(), 0.f));
    kernels().scale(row(tallied, i), weight / sums[at], size_t(tallied.width()));
    row(tallied, i)[labels.targets[at]] -= weight;
  });
}

void TrainOps::save(Rows x, const Codec& codec, std::span<std::byte> out) {
  const auto bytes = size_t(codec.bytes_for(x.width()));
  CHECK(x.width() % int32_t(codec.block_values()) == 0 && out.size() == bytes * size_t(x.count()),
        "shapes of a slot");
  each(x, [&](int32_t i) {
    codec.encode({row(x, i), size_t(x.width())}, out.subspan(size_t(i) * bytes, bytes));
  });
}

void TrainOps::restore(std::span<const std::byte> bytes, const Codec& codec, Rows out) {
  const auto one = size_t(codec.bytes_for(out.width()));
  CHECK(bytes.size() == one * size_t(out.count()), "shapes of a slot");
  each(out, [&](int32_t i) {
    codec.decode(bytes.subspan(size_t(i) * one, one), {row(out, i), size_t(out.width())});
  });
}

// Columns are what tasks own, so that every sum is in the order of the rows.
void TrainOps::scatter_add(Rows d, std::span<const int32_t> rows, float factor, std::span<float> out) {
  CHECK(int32_t(rows.size()) == d.count(), "a place for each row");
  constexpr int32_t kColumns = 64;
  pool_.run((d.width() + kColumns - 1) / kColumns, [&](int64_t task) {
    const auto first = int32_t(task) * kColumns;
    const auto n = size_t(std::min(kColumns, d.width() - first));
    for (int32_t i = 0; i < d.count(); ++i) {
      float* to = out.data() + int64_t(rows[size_t(i)]) * d.width() + first;
      kernels().mix(&factor, 1, row(d, i) + first, 0, n, to);
    }
  });
}

// What rows would add to a gradient, without making it: the square of d^T x is a sum over pairs of rows. Each
// row's share is summed alone and the shares in order, whatever the threads do.
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

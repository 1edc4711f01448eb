#include "memory/recall/index/centroids.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "math/kernel/kernel.h"
#include "memory/recall/index/vector_index.h"

namespace varve {
namespace {

constexpr size_t kGroupsLooked = 10;  // by a vector that comes
constexpr int kRounds = 4;            // of k-means, which find groups that are good enough

void keep_nearest(std::vector<Centroids::Near>& all, size_t most) {
  if (most < all.size()) {
    std::nth_element(all.begin(), all.begin() + int64_t(most), all.end());
    all.resize(most);
  }
  std::sort(all.begin(), all.end());
}

// Of each row the group whose mean is nearest.
std::vector<uint32_t> choose(const std::vector<float>& rows, const std::vector<float>& means,
                             const std::vector<float>& squares, size_t width) {
  std::vector<uint32_t> group(rows.size() / width);
  std::vector<float> dots(squares.size());
  for (size_t i = 0; i < group.size(); ++i) {
    dot_rows(false, means.data(), dots.size(), std::span(rows).subspan(i * width, width), dots.data());
    size_t best = 0;
    for (size_t j = 1; j < dots.size(); ++j) {
      if (squares[j] - 2 * dots[j] < squares[best] - 2 * dots[best]) best = j;
    }
    group[i] = uint32_t(best);
  }
  return group;
}

std::vector<float> squares_of(const std::vector<float>& rows, size_t width) {
  std::vector<float> squares(rows.size() / width);
  for (size_t i = 0; i < squares.size(); ++i) {
    squares[i] = kernels().dot(rows.data() + i * width, rows.data() + i * width, nullptr, width);
  }
  return squares;
}

}  // namespace

int64_t Centroids::bytes_of(size_t count, size_t width) {
  const auto groups = int64_t(std::sqrt(double(count))) + 2;
  return (int64_t(count) + groups) * int64_t(width * 4 + 4) + groups * 4;
}

std::vector<uint32_t> Centroids::arrange(const std::vector<float>& rows, size_t width) {
  const size_t count = rows.size() / width, groups = size_t(std::ceil(std::sqrt(double(count))));
  width_ = width;
  means_.resize(groups * width);
  for (size_t i = 0; i < groups; ++i) {
    std::copy_n(rows.begin() + int64_t(i * count / groups * width), width,
                means_.begin() + int64_t(i * width));
  }
  std::vector<uint32_t> group;
  std::vector<uint32_t> sizes;
  for (int round = 0; round < kRounds; ++round) {
    group = choose(rows, means_, squares_of(means_, width), width);
    sizes.assign(groups, 0);
    for (const uint32_t one : group) ++sizes[one];
    if (round + 1 == kRounds) break;
    for (size_t i = 0; i < groups; ++i) {  // an empty group stays where it is
      if (sizes[i] > 0) std::fill_n(means_.begin() + int64_t(i * width), width, 0.0f);
    }
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = 0; j < width; ++j)
        means_[group[i] * width + j] += rows[i * width + j] / float(sizes[group[i]]);
    }
  }
  starts_.assign(groups + 1, 0);
  std::partial_sum(sizes.begin(), sizes.end(), starts_.begin() + 1);
  std::vector<uint32_t> next(starts_.begin(), starts_.end() - 1), number(count);
  rows_.resize(rows.size());
  for (size_t i = 0; i < count; ++i) {
    number[i] = next[group[i]]++;
    std::copy_n(rows.begin() + int64_t(i * width), width, rows_.begin() + int64_t(number[i] * width));
  }
  measure();
  return number;
}

void Centroids::measure() {
  norms_ = squares_of(rows_, width_);
  const size_t groups = starts_.size() - 1;
  means_.assign(groups * width_, 0);
  for (size_t i = 0; i < groups; ++i) {
    for (uint32_t one = starts_[i]; one < starts_[i + 1]; ++one) {
      for (size_t j = 0; j < width_; ++j)
        means_[i * width_ + j] += rows_[one * width_ + j] / float(starts_[i + 1] - starts_[i]);
    }
  }
  squares_ = squares_of(means_, width_);
}

float Centroids::apart(uint32_t a, uint32_t b) const {
  return norms_[a] + norms_[b] - 2 * kernels().dot(row(a).data(), row(b).data(), nullptr, width_);
}

void Centroids::offer(std::span<const float> vector, uint32_t from, uint32_t to,
                      std::vector<Near>& all) const {
  std::vector<float> dots(to - from);
  dot_rows(false, rows_.data() + from * width_, dots.size(), vector, dots.data());
  for (uint32_t i = from; i < to; ++i) all.emplace_back(norms_[i] - 2 * dots[i - from], i);
}

std::vector<Centroids::Near> Centroids::nearest(std::span<const float> vector, size_t most) const {
  std::vector<Near> all;
  all.reserve(count());
  offer(vector, 0, uint32_t(count()), all);
  keep_nearest(all, most);
  return all;
}

std::vector<Centroids::Near> Centroids::nearby(std::span<const float> vector, size_t most) const {
  std::vector<float> dots(squares_.size());
  dot_rows(false, means_.data(), dots.size(), vector, dots.data());
  std::vector<Near> groups;
  for (uint32_t i = 0; i < dots.size(); ++i) {
    if (starts_[i] < starts_[i + 1]) groups.emplace_back(squares_[i] - 2 * dots[i], i);
  }
  keep_nearest(groups, kGroupsLooked);
  std::vector<Near> all;
  for (const auto& [far, group] : groups) offer(vector, starts_[group], starts_[group + 1], all);
  keep_nearest(all, most);
  return all;
}

Status Centroids::save(SnapshotWriter& out) const {
  TRY(out.array(rows_));
  return out.array(starts_);
}

Status Centroids::load(SnapshotReader& in, size_t width) {
  TRY(in.array(rows_));
  TRY(in.array(starts_));
  width_ = width;
  const size_t count = rows_.size() / width;
  if (rows_.size() % width != 0 || starts_.size() > count + 2) return in.damaged();
  if (!std::is_sorted(starts_.begin(), starts_.end())) return in.damaged();
  if (starts_.empty()) return count == 0 ? Status() : in.damaged();
  if (starts_.front() != 0 || starts_.back() != count) return in.damaged();
  measure();
  return {};
}

}  // namespace varve

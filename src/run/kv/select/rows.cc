// Rows are kept in f16: half of what is read to decide what to read. A unit's score is the share of attention
// that its rows promise, summed over the heads that read it together.
#include "run/kv/select/rows.h"

#include <cmath>

namespace varve::kv_select {
namespace {

// The deviation of late is that of so many tokens before.
constexpr int32_t kLate = 256;

// The best, ties to the newer, until `tokens` are full.
void keep_best(std::vector<int32_t>& units, std::span<const float> scores, std::span<const int32_t> ends,
               int64_t tokens) {
  std::vector<int32_t> order(units.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int32_t(i);
  const auto better = [&](int32_t a, int32_t b) {
    return scores[size_t(a)] != scores[size_t(b)] ? scores[size_t(a)] > scores[size_t(b)] : a > b;
  };
  const auto size = [&](int32_t unit) {
    return ends[size_t(unit)] - (unit > 0 ? ends[size_t(unit) - 1] : 0);
  };
  // No unit is smaller than a token, and mostly they are about as large as the mean.
  const size_t enough = std::min(order.size(), size_t(tokens));
  std::partial_sort(order.begin(), order.begin() + ptrdiff_t(enough), order.end(), better);
  std::vector<int32_t> best;
  for (size_t i = 0; i < enough && tokens > 0; ++i) {
    const int32_t unit = units[size_t(order[i])];
    if (size(unit) > tokens && !best.empty()) break;
    tokens -= size(unit);
    best.push_back(unit);
  }
  units = std::move(best);
}

class RowIndex : public LaneIndex {
 public:
  RowIndex(const RowSelector& of, int32_t key_dim) : of_(of), shape_(of.shape(key_dim)), dim_(key_dim) {}

  int32_t grow(const LaneTokens& lane) override {
    if (shape_.rows == 0) return lane.full();
    const int32_t full = lane.full();
    if (of_.units.kind == Units::Kind::pages) {
      while (known() < full) add(lane, known() + int32_t(kAttendTile));
      return known();
    }
    for (; seen_ < full && of_.units.told(lane, seen_); ++seen_) {
      const LaneStretch unit{known(), seen_};
      if (unit.size() >= of_.units.most || (unit.size() >= of_.units.least && of_.units.begins(lane, unit)))
        add(lane, seen_);
    }
    return known();
  }

  void choose(const LaneQueries& queries, const LaneTokens& lane, LaneStretch among,
              std::vector<LaneStretch>& out) override {
    if (of_.plan.pages == 0 || shape_.rows == 0) return;
    const auto first = int32_t(std::upper_bound(ends_.begin(), ends_.end(), among.first) - ends_.begin());
    const auto end = int32_t(std::lower_bound(ends_.begin(), ends_.end(), among.end) - ends_.begin());
    const int32_t last = std::min(int32_t(ends_.size()), end + 1);
    for (const int32_t unit : ranked(queries.pooled(), lane.spec.scale, first, last)) {
      const int32_t from = std::max(unit - of_.plan.near, 0);
      const int32_t to = std::min(unit + of_.plan.near, int32_t(ends_.size()) - 1);
      out.push_back({begin(from), ends_[size_t(to)]});
    }
  }

  int32_t forget(int32_t from_place) override {
    // Whether a unit ended where it did may depend on what followed.
    while (!ends_.empty() && ends_.back() >= from_place + (of_.units.kind == Units::Kind::pages ? 1 : 0))
      ends_.pop_back();
    seen_ = std::min(seen_, known());
    rows_.resize(ends_.size() * size_t(shape_.rows * shape_.width));
    return shape_.rows == 0 ? from_place : known();
  }

 private:
  int32_t known() const { return ends_.empty() ? 0 : ends_.back(); }
  int32_t begin(int32_t unit) const { return unit > 0 ? ends_[size_t(unit) - 1] : 0; }

  void add(const LaneTokens& lane, int32_t end) {
    lane.keys({known(), end}, keys_);
    row_.resize(size_t(shape_.rows * shape_.width));
    of_.remember(keys_, dim_, row_);
    const size_t at = rows_.size();
    rows_.resize(at + row_.size());
    kernels().encode_f16(row_.data(), row_.size(), &rows_[at]);
    ends_.push_back(end);
    if (seen_ < end) seen_ = end;
  }

  // Of the units [first, end), those worth reading.
  std::vector<int32_t> ranked(const std::vector<float>& queries, float scale, int32_t first,
                              int32_t end) const {
    const SelectPlan& plan = of_.plan;
    const int64_t tokens = int64_t(plan.pages) * int64_t(kAttendTile);
    std::vector<int32_t> units;
    if (plan.coarse > 1 &&
        end - first > plan.coarse * plan.pages) {  // one of each group, then all of the best
      std::vector<int32_t> probes;
      for (int32_t unit = first; unit < end; unit += plan.coarse)
        probes.push_back(std::min(unit + plan.coarse / 2, end - 1));
      std::vector<float> scores(probes.size());
      look(queries, scale, probes, scores);
      keep_best(probes, scores, ends_, 2 * tokens);
      for (const int32_t probe : probes) {
        const int32_t group = first + (probe - first) / plan.coarse * plan.coarse;
        for (int32_t unit = group; unit < std::min(group + plan.coarse, end); ++unit) units.push_back(unit);
      }
    } else {
      for (int32_t unit = first; unit < end; ++unit) units.push_back(unit);
    }
    int64_t all = 0;
    for (const int32_t unit : units) all += ends_[size_t(unit)] - begin(unit);
    if (all <= tokens) return units;
    std::vector<float> scores(units.size());
    look(queries, scale, units, scores);
    keep_best(units, scores, ends_, tokens);
    return units;
  }

  // Shares of attention that rows promise to the units, summed over the heads, added to `scores`.
  void look(const std::vector<float>& queries, float scale, std::span<const int32_t> units,
            std::span<float> scores) const {
    const auto width = size_t(shape_.width), each = size_t(shape_.rows), dim = size_t(dim_);
    std::vector<float> seen(width), best(units.size());
    alignas(64) float products[kAttendTile];
    for (size_t head = 0; head < queries.size() / dim; ++head) {
      of_.look(std::span(queries).subspan(head * dim, dim), seen);
      for (size_t i = 0; i < units.size(); ++i) {
        kernels().score_rows[size_t(Format::f16)](&rows_[size_t(units[i]) * each * width], each, seen.data(),
                                                  1, width, scale, products, nullptr);
        best[i] = kernels().max(products, each);
      }
      const float sum = kernels().exp_sum(best.data(), kernels().max(best.data(), best.size()), best.size());
      for (size_t i = 0; i < best.size(); ++i) scores[i] += best[i] / sum;
    }
  }

  const RowSelector& of_;
  const RowSelector::Shape shape_;
  const int32_t dim_;
  int32_t seen_ = 0;               // tokens that were looked at for where units end
  std::vector<int32_t> ends_;      // of the units
  std::vector<uint16_t> rows_;     // of the units
  std::vector<float> keys_, row_;  // of one
};

}  // namespace

bool Units::told(const LaneTokens& lane, int32_t place) const {
  const auto position = size_t(lane.position(place));
  return position < (kind == Kind::sentences ? lane.notes.sentences.size() : lane.notes.surprise.size());
}

bool Units::begins(const LaneTokens& lane, LaneStretch unit) const {
  if (unit.size() == 0) return false;
  if (kind == Kind::sentences) return lane.notes.sentences[size_t(lane.position(unit.end - 1))] != 0;
  const auto next = size_t(lane.position(unit.end));
  double sum = 0, squares = 0;
  const size_t from = next - std::min<size_t>(next, size_t(kLate));
  for (size_t i = from; i < next; ++i) {
    sum += double(lane.notes.surprise[i]);
    squares += double(lane.notes.surprise[i]) * double(lane.notes.surprise[i]);
  }
  const double n = double(std::max<size_t>(1, next - from)), mean = sum / n;
  const double deviation = std::sqrt(std::max(0.0, squares / n - mean * mean));
  return double(lane.notes.surprise[next]) > mean + double(gamma) * deviation;
}

std::unique_ptr<LaneIndex> RowSelector::index(int32_t key_dim) const {
  return std::make_unique<RowIndex>(*this, key_dim);
}

int64_t RowSelector::bytes_for(int32_t key_dim, int64_t pages) const {
  const Shape rows = shape(key_dim);
  const int64_t most =
      units.kind == Units::Kind::pages ? pages : pages * int64_t(kAttendTile) / units.least + 1;
  return rows.rows == 0 ? 0 : most * (2 * int64_t(rows.rows) * rows.width + int64_t(sizeof(int32_t)));
}

void Landmarks::remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const {
  const auto dim = size_t(key_dim), rows = size_t(rows_);
  const size_t tokens = keys.size() / dim;
  std::vector<float> mean(dim), far(tokens);
  for (size_t i = 0; i < keys.size(); ++i) mean[i % dim] += keys[i] / float(tokens);
  for (size_t i = 0; i < keys.size(); ++i) {
    const float apart = keys[i] - mean[i % dim];
    far[i / dim] += apart * apart;
  }
  std::vector<size_t> order(tokens);
  for (size_t i = 0; i < tokens; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return far[a] > far[b]; });
  order.resize(std::min(rows, tokens));
  std::sort(order.begin(), order.end());
  while (order.size() < rows) order.push_back(order.back());
  for (size_t row = 0; row < rows; ++row) std::copy_n(&keys[order[row] * dim], dim, &out[row * dim]);
}

void Means::remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const {
  const auto dim = size_t(key_dim);
  const size_t tokens = keys.size() / dim, each = std::max<size_t>(1, tokens / size_t(rows_));
  std::fill(out.begin(), out.end(), 0.f);
  for (size_t row = 0; row < size_t(rows_); ++row) {
    const size_t first = std::min(row * each, tokens - 1);
    const size_t end = row + 1 < size_t(rows_) ? std::min(first + each, tokens) : tokens;
    for (size_t i = first * dim; i < end * dim; ++i) out[row * dim + i % dim] += keys[i] / float(end - first);
  }
}

}  // namespace varve::kv_select

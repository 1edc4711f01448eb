// How much attention each token received: a second walk over the pages, after attention itself, so that it
// costs nothing where nobody asks. A task is a page of a lane and walks the queries in order: the sums are
// the same bits however the prompt was cut and whoever works.
#include <array>
#include <vector>

#include "math/ops/attend/parts.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int32_t kTokens = 64;   // of a tile
constexpr int32_t kGroup = 8;     // tokens whose dots are in flight
constexpr int32_t kQueries = 16;  // heads, likewise

struct Counting {
  const AttendSpec& spec;
  Rows queries;
  const AttendSegment& segment;
  std::span<const float> log_sums;
  int32_t group() const { return spec.heads / spec.kv_heads; }
};

class CountTask {
 public:
  CountTask(const Counting& of, int32_t kv_head) : of_(of), kv_head_(kv_head) {}

  void run(const KvPageView& page, int32_t at, std::span<float> sums) {
    const AttendSpec& spec = of_.spec;
    const int32_t tokens = std::min(kTokens, int32_t(page.positions.size()) - at);
    const size_t begin = size_t(spec.codec->bytes_for(int64_t(at) * spec.key_dim));
    const size_t values = size_t(tokens) * size_t(spec.key_dim);
    if (page.pack != nullptr) {
      page.pack->decode_keys(page.keys.data(), spec.key_dim, tile_.data());
    } else {
      spec.codec->decode(page.keys.subspan(begin, size_t(spec.codec->bytes_for(int64_t(values)))),
                         {tile_.data(), values});
    }
    positions_ = page.positions.subspan(size_t(at), size_t(tokens));
    weights_ = page.weights.empty() ? page.weights : page.weights.subspan(size_t(at), size_t(tokens));
    const AttendScores& scores = of_.segment.scores;
    for (int32_t row = scores.first_row; row < of_.segment.rows; ++row) {
      vote(row);
      for (int32_t t = 0; t < tokens; ++t) sums[size_t(t)] = sums[size_t(t)] * scores.fade + votes_[t];
    }
  }

 private:
  void vote(int32_t row) {
    votes_.fill(0);
    const int32_t position = of_.segment.positions[size_t(row)];
    const SeenTokens seen = seen_tokens(positions_, position, of_.spec);
    if (seen.begin >= seen.end) return;
    const int32_t group = of_.group();
    for (int32_t first = 0; first < group; first += kQueries) {
      const int32_t count = std::min(kQueries, group - first);
      logits(row, kv_head_ * group + first, count, seen);
      for (int32_t i = 0; i < count; ++i) add(row, kv_head_ * group + first + i, seen, logits_[size_t(i)]);
    }
  }

  void logits(int32_t row, int32_t head, int32_t count, SeenTokens seen) {
    const auto dim = size_t(of_.spec.key_dim);
    const float* query = RowsAccess::row(of_.queries, of_.segment.first_row + row) + size_t(head) * dim;
    for (int32_t at = seen.begin; at < seen.end; at += kGroup) {
      const int32_t n = std::min(kGroup, seen.end - at);
      Lanes sums[kGroup * kQueries] = {};
      float out[kGroup * kQueries];
      kernels().dot_f32(&tile_[size_t(at) * dim], dim, size_t(n), query, dim, size_t(count), dim, sums);
      kernels().finish(sums, size_t(n * count), out);
      for (int32_t t = 0; t < n; ++t) {
        for (int32_t i = 0; i < count; ++i)
          logits_[size_t(i)][size_t(at + t)] = out[t * count + i] * of_.spec.scale;
      }
    }
  }

  void add(int32_t row, int32_t head, SeenTokens seen, std::span<float> logits) {
    const AttendSpec& spec = of_.spec;
    const auto n = size_t(seen.end - seen.begin);
    float* own = &logits[size_t(seen.begin)];
    const int32_t position = of_.segment.positions[size_t(row)];
    const float slope = spec.alibi > 0 ? alibi_slope(spec, head) : 0;
    for (size_t t = 0; slope > 0 && t < n; ++t)
      own[t] -= slope * float(std::abs(position - positions_[size_t(seen.begin) + t]));
    if (spec.soft_cap > 0) kernels().soft_cap(own, spec.soft_cap, n);
    for (size_t t = 0; !weights_.empty() && t < n; ++t) own[t] += weights_[size_t(seen.begin) + t];
    kernels().exp_sum(own, of_.log_sums[size_t(row) * size_t(spec.heads) + size_t(head)], n);
    const float part = 1 / float(of_.group());
    const float average = 1 / float(std::max(1, in_sight(row)));
    for (size_t t = 0; t < n; ++t) {
      const float share = of_.segment.scores.hits ? float(own[t] >= average) : own[t];
      votes_[size_t(seen.begin) + t] += share * part;
    }
  }

  // Tokens of the whole lane that the query sees; asked for hits only.
  int32_t in_sight(int32_t row) {
    if (!of_.segment.scores.hits) return 1;
    if (row == counted_row_) return counted_;
    counted_row_ = row;
    counted_ = 0;
    for (const KvPageView& page : of_.segment.lanes[size_t(kv_head_)]) {
      const SeenTokens seen = seen_tokens(page.positions, of_.segment.positions[size_t(row)], of_.spec);
      counted_ += std::max(0, seen.end - seen.begin);
    }
    return counted_;
  }

  const Counting& of_;
  int32_t kv_head_;
  int32_t counted_row_ = -1, counted_ = 0;
  std::span<const int32_t> positions_;
  std::span<const float> weights_;
  std::array<float, kTokens> votes_;
  alignas(64) std::array<std::array<float, kTokens>, kQueries> logits_;
  alignas(64) std::array<float, kTokens * kMaxHeadDim> tile_;
};

}  // namespace

void count_attention(ThreadPool& pool, const AttendSpec& spec, Rows queries, const AttendSegment& segment,
                     std::span<const float> log_sums) {
  const AttendScores& scores = segment.scores;
  CHECK(int32_t(scores.lanes.size()) == spec.kv_heads && scores.first_row >= 0, "a lane of scores a KV head");
  struct Part {
    int32_t kv_head, at;
    const KvPageView* page;
    std::span<float> sums;
  };
  std::vector<Part> parts;
  for (int32_t head = 0; head < spec.kv_heads; ++head) {
    std::span<float> rest = scores.lanes[size_t(head)];
    for (const KvPageView& page : segment.lanes[size_t(head)]) {
      const auto tokens = int32_t(page.positions.size());
      CHECK(rest.size() >= size_t(tokens), "a score a token");
      for (int32_t at = 0; at < tokens; at += kTokens) {
        const auto n = size_t(std::min(kTokens, tokens - at));
        parts.push_back({head, at, &page, rest.first(n)});
        rest = rest.subspan(n);
      }
    }
  }
  const Counting of{spec, queries, segment, log_sums};
  pool.run(int64_t(parts.size()), [&](int64_t i) {
    const Part& part = parts[size_t(i)];
    CountTask(of, part.kv_head).run(*part.page, part.at, part.sums);
  });
}

}  // namespace varve

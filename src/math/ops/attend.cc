// Attention over pages of cached tokens: tiles of 64 tokens, softmax as it goes (Milakov & Gimelshein 2018,
// Dao et al. 2022). A task is a KV head and a few of the queries that share it, so a tile is decoded once for
// them. Tiles begin where pages begin: a query sees the same tiles however the prompt was cut.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "math/ops/ops.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int32_t kTokens = 64;   // of a tile
constexpr int32_t kGroup = 8;     // tokens whose dots are in flight
constexpr int32_t kQueries = 16;  // of a task, at most

struct Range {  // of the tokens of a tile that a query sees
  int32_t begin = 0, end = 0;
};
Range visible(std::span<const int32_t> positions, int32_t query, const AttendSpec& spec) {
  if (!spec.causal) return {0, int32_t(positions.size())};
  const int32_t window = spec.window;
  const int64_t oldest = window > 0 ? int64_t(query) - window : std::numeric_limits<int64_t>::min();
  const auto begin = std::partition_point(positions.begin(), positions.end(),
                                          [&](int32_t position) { return position <= oldest; });
  const auto end = std::upper_bound(positions.begin(), positions.end(), query);
  return {int32_t(begin - positions.begin()),
          std::max(int32_t(begin - positions.begin()), int32_t(end - positions.begin()))};
}

// Of heads that are no power of two, those beyond the largest one lie between the others (Press et al. 2022).
float alibi_slope(const AttendSpec& spec, int32_t head) {
  int32_t power = 1;
  while (power * 2 <= spec.heads) power *= 2;
  const float step = spec.alibi / float(power);
  return std::exp2(head < power ? -step * float(head + 1) : -step / 2 * float(2 * (head - power) + 1));
}

struct Query {
  float* out;
  int32_t position;
  float slope;  // of ALiBi
  float largest = -std::numeric_limits<float>::infinity();
  float sum = 0;
};

class Task {
 public:
  // Queries [first, first + count) of the segment and KV head; query i is head i % group of row i / group.
  Task(const AttendSpec& spec, Rows queries, const AttendSegment& segment, Rows out, int32_t kv_head)
      : spec_(spec), queries_(queries), segment_(segment), out_(out), kv_head_(kv_head) {}

  void run(int32_t first, int32_t count) {
    take_queries(first, count);
    for (const KvPageView& page : segment_.lanes[size_t(kv_head_)]) {
      const auto tokens = int32_t(page.positions.size());
      for (int32_t at = 0; at < tokens; at += kTokens) tile(page, at, std::min(kTokens, tokens - at));
    }
    for (int32_t i = 0; i < count_; ++i) {
      if (query_[i].sum > 0) kernels().scale(query_[i].out, 1 / query_[i].sum, size_t(spec_.value_dim));
    }
  }

 private:
  void take_queries(int32_t first, int32_t count) {
    const int32_t group = spec_.heads / spec_.kv_heads;
    count_ = count;
    for (int32_t i = 0; i < count; ++i) {
      const int32_t row = (first + i) / group, head = kv_head_ * group + (first + i) % group;
      const float* from = RowsAccess::row(queries_, segment_.first_row + row) + head * spec_.key_dim;
      std::copy_n(from, spec_.key_dim, &keys_of_queries_[size_t(i * spec_.key_dim)]);
      float* to = RowsAccess::row(out_, segment_.first_row + row) + head * spec_.value_dim;
      std::fill_n(to, spec_.value_dim, 0.f);
      query_[i] = {to, segment_.positions[size_t(row)], spec_.alibi > 0 ? alibi_slope(spec_, head) : 0};
    }
  }

  void tile(const KvPageView& page, int32_t at, int32_t tokens) {
    Range any{kTokens, 0};
    for (int32_t i = 0; i < count_; ++i) {
      sees_[i] = visible(page.positions.subspan(size_t(at), size_t(tokens)), query_[i].position, spec_);
      if (sees_[i].begin == sees_[i].end) continue;
      any = {std::min(any.begin, sees_[i].begin), std::max(any.end, sees_[i].end)};
    }
    if (any.begin >= any.end) return;
    decode(page.keys, spec_.key_dim, at, any);
    scores(any);
    decode(page.values, spec_.value_dim, at, any);
    for (int32_t i = 0; i < count_; ++i) {
      if (spec_.alibi > 0)
        fade(query_[i], sees_[i], page.positions.subspan(size_t(at)), scores_[size_t(i)].data());
      if (sees_[i].begin < sees_[i].end) take(query_[i], sees_[i], scores_[size_t(i)].data());
    }
  }

  void decode(std::span<const std::byte> bytes, int32_t dim, int32_t at, Range tokens) {
    const size_t begin = size_t(spec_.codec->bytes_for(int64_t(at + tokens.begin) * dim));
    const size_t values = size_t(tokens.end - tokens.begin) * size_t(dim);
    spec_.codec->decode(bytes.subspan(begin, size_t(spec_.codec->bytes_for(int64_t(values)))),
                        {&tile_[size_t(tokens.begin * dim)], values});
  }

  void scores(Range tokens) {
    const auto dim = size_t(spec_.key_dim);
    for (int32_t at = tokens.begin; at < tokens.end; at += kGroup) {
      const int32_t n = std::min(kGroup, tokens.end - at);
      Lanes sums[kGroup * kQueries] = {};
      float out[kGroup * kQueries];
      kernels().dot_f32(&tile_[size_t(at) * dim], dim, size_t(n), keys_of_queries_.data(), dim,
                        size_t(count_), dim, sums);
      kernels().finish(sums, size_t(n * count_), out);
      for (int32_t t = 0; t < n; ++t) {
        for (int32_t i = 0; i < count_; ++i)
          scores_[size_t(i)][size_t(at + t)] = out[t * count_ + i] * spec_.scale;
      }
    }
  }

  static void fade(const Query& query, Range tokens, std::span<const int32_t> positions, float* scores) {
    for (int32_t t = tokens.begin; t < tokens.end; ++t)
      scores[t] -= query.slope * float(std::abs(query.position - positions[size_t(t)]));
  }

  void take(Query& query, Range tokens, float* scores) {
    const Kernels& k = kernels();
    const auto n = size_t(tokens.end - tokens.begin);
    float* seen = scores + tokens.begin;
    if (spec_.soft_cap > 0) k.soft_cap(seen, spec_.soft_cap, n);
    const float largest = std::max(query.largest, k.max(seen, n));
    if (largest > query.largest && query.sum > 0) {
      const float shrink = std::exp(query.largest - largest);
      query.sum *= shrink;
      k.scale(query.out, shrink, size_t(spec_.value_dim));
    }
    query.largest = largest;
    query.sum += k.exp_sum(seen, largest, n);
    const auto dim = size_t(spec_.value_dim);
    k.mix(seen, n, &tile_[size_t(tokens.begin) * dim], dim, dim, query.out);
  }

  const AttendSpec& spec_;
  Rows queries_;
  const AttendSegment& segment_;
  Rows out_;
  int32_t kv_head_;
  int32_t count_ = 0;
  std::array<Query, kQueries> query_;
  std::array<Range, kQueries> sees_;
  alignas(64) std::array<std::array<float, kTokens>, kQueries> scores_;
  alignas(64) std::array<float, kQueries * kMaxHeadDim> keys_of_queries_;
  alignas(64) std::array<float, kTokens * kMaxHeadDim> tile_;
};

void check_segment(const AttendSpec& spec, Rows queries, const AttendSegment& segment) {
  CHECK(segment.first_row >= 0 && segment.rows >= 0 && segment.first_row + segment.rows <= queries.count(),
        "a segment lies inside the rows");
  CHECK(int32_t(segment.positions.size()) == segment.rows && int32_t(segment.lanes.size()) == spec.kv_heads,
        "a position a row and a lane a KV head");
  for (const auto& lane : segment.lanes) {
    for (const KvPageView& page : lane) {
      const auto tokens = int64_t(page.positions.size());
      CHECK(int64_t(page.keys.size()) >= spec.codec->bytes_for(tokens * spec.key_dim) &&
                int64_t(page.values.size()) >= spec.codec->bytes_for(tokens * spec.value_dim),
            "a page holds its tokens");
    }
  }
}

}  // namespace

void Ops::attend(const AttendSpec& spec, Rows queries, std::span<const AttendSegment> segments, Rows out) {
  CHECK(spec.kv_heads > 0 && spec.heads % spec.kv_heads == 0 && spec.codec != nullptr, "shapes of attention");
  CHECK(spec.key_dim > 0 && spec.key_dim <= kMaxHeadDim && spec.value_dim > 0 &&
            spec.value_dim <= kMaxHeadDim && spec.key_dim % int32_t(spec.codec->block_values()) == 0 &&
            spec.value_dim % int32_t(spec.codec->block_values()) == 0,
        "the width of a head");
  CHECK(queries.width() == spec.heads * spec.key_dim && out.width() == spec.heads * spec.value_dim &&
            queries.count() == out.count(),
        "shapes of attention");
  struct Part {
    const AttendSegment* segment;
    int32_t kv_head, first, count;
  };
  std::vector<Part> parts;
  for (const AttendSegment& segment : segments) {
    check_segment(spec, queries, segment);
    const int32_t all = segment.rows * (spec.heads / spec.kv_heads);
    for (int32_t head = 0; head < spec.kv_heads; ++head) {
      for (int32_t first = 0; first < all; first += kQueries) {
        parts.push_back({&segment, head, first, std::min(kQueries, all - first)});
      }
    }
  }
  pool_.run(int64_t(parts.size()), [&](int64_t i) {
    const Part& part = parts[size_t(i)];
    Task(spec, queries, *part.segment, out, part.kv_head).run(part.first, part.count);
  });
}

}  // namespace varve

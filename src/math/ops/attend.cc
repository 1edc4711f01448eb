// Attention over pages of cached tokens: tiles of 64 tokens, softmax as it goes (Milakov & Gimelshein 2018,
// Dao et al. 2022). A task is a KV head and a few of the queries that share it, so that a tile is read once
// for them. Long lanes are worked on in spans of pages, by several threads where queries are few, and merged
// in order by their log-sum-exps (Dao et al. 2023): tiles and spans begin where pages begin, so a query gets
// the same bits however the prompt was cut and whoever works.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "math/ops/attend/parts.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int32_t kTokens = int32_t(kAttendTile);
constexpr int32_t kQueries = 16;    // of a task, at most
constexpr int32_t kSpanPages = 64;  // of a lane, worked on at a time
constexpr int32_t kStreamed = 4;    // so few queries read encoded rows as fast as decoded ones

struct Query {
  int32_t position;
  float slope;  // of ALiBi
};

const Codec& codec_of(const KvPageView& page, const AttendSpec& spec) {
  return page.codec != nullptr ? *page.codec : *spec.codec;
}

// What a query has of some of the tokens: their weighted sum, `sum` times too large.
struct Partial {
  float largest = -std::numeric_limits<float>::infinity();
  float sum = 0;
};
void merge(Partial& into, float* out, const Partial& from, const float* of, size_t dim) {
  if (from.sum <= 0) return;
  const float largest = std::max(into.largest, from.largest);
  const float keep = into.sum > 0 ? std::exp(into.largest - largest) : 0;
  const float add = std::exp(from.largest - largest);
  kernels().scale(out, keep, dim);
  kernels().mix(&add, 1, of, dim, dim, out);
  into = {largest, into.sum * keep + from.sum * add};
}

// Queries of a segment that share a KV head; query i is head i % group of row i / group.
struct Part {
  const AttendSegment* segment;
  int32_t kv_head, first, count;
  float* log_sums;  // of the segment, or null

  int32_t row(const AttendSpec& spec, int32_t i) const { return (first + i) / (spec.heads / spec.kv_heads); }
  int32_t head(const AttendSpec& spec, int32_t i) const {
    const int32_t group = spec.heads / spec.kv_heads;
    return kv_head * group + (first + i) % group;
  }
  std::span<const KvPageView> lane() const { return segment->lanes[size_t(kv_head)]; }
  int32_t spans() const { return std::max(1, (int32_t(lane().size()) + kSpanPages - 1) / kSpanPages); }
};

class Task {
 public:
  Task(const AttendSpec& spec, Rows queries, const Part& part) : spec_(spec), part_(part) {
    for (int32_t i = 0; i < part.count; ++i) {
      const int32_t row = part.row(spec, i), head = part.head(spec, i);
      const float* from = RowsAccess::row(queries, part.segment->first_row + row) + head * spec.key_dim;
      std::copy_n(from, spec.key_dim, &keys_of_queries_[size_t(i * spec.key_dim)]);
      query_[size_t(i)] = {part.segment->positions[size_t(row)],
                           spec.alibi > 0 ? alibi_slope(spec, head) : 0};
    }
  }

  // One span of the lane: a Partial and value_dim floats a query.
  void run(int32_t span, Partial* partial, float* outs) {
    partial_ = partial, outs_ = outs;
    std::fill_n(partial, part_.count, Partial{});
    std::fill_n(outs, part_.count * spec_.value_dim, 0.f);
    const auto lane = part_.lane();
    const size_t end = std::min(lane.size(), size_t(span + 1) * kSpanPages);
    for (size_t page = size_t(span) * kSpanPages; page < end; ++page) {
      const auto tokens = int32_t(lane[page].positions.size());
      next_ = {};
      if (page + 1 < end) look_at(lane[page + 1]);
      for (int32_t at = 0; at < tokens; at += kTokens) tile(lane[page], at, std::min(kTokens, tokens - at));
    }
  }

 private:
  // Its positions are needed before its rows, and each of the three begins with a miss.
  void look_at(const KvPageView& next) {
    for (size_t at = 0; at < next.positions.size(); at += 16) __builtin_prefetch(&next.positions[at]);
    if (next.pack == nullptr && int32_t(next.positions.size()) == kTokens)
      next_ = {next.keys.data(), next.values.data()};
  }

  void tile(const KvPageView& page, int32_t at, int32_t tokens) {
    SeenTokens any{kTokens, 0};
    const auto positions = page.positions.subspan(size_t(at), size_t(tokens));
    for (int32_t i = 0; i < part_.count; ++i) {
      const bool as_before = i > 0 && query_[i].position == query_[i - 1].position;
      sees_[i] = as_before ? sees_[i - 1] : seen_tokens(positions, query_[i].position, spec_);
      if (sees_[i].begin >= sees_[i].end) continue;
      any = {std::min(any.begin, sees_[i].begin), std::max(any.end, sees_[i].end)};
    }
    if (any.begin >= any.end) return;
    if (page.pack != nullptr) any = {0, kTokens};  // read whole
    score(page, at, any);
    const auto weights = page.weights.subspan(page.weights.empty() ? 0 : size_t(at));
    for (int32_t i = 0; i < part_.count; ++i) {
      float* scores = scores_[size_t(i)].data();
      if (spec_.alibi > 0) fade(query_[i], sees_[i], positions, scores);
      soften(i, scores, any, weights);
    }
    mix(page, at, any);
  }

  // Where a tile begins that is read from its bytes, or from floats where that is faster.
  struct Bytes {
    Format format;
    const void* at;
  };
  Bytes rows(const Codec& codec, const std::byte* bytes, int32_t dim, int32_t at, SeenTokens tokens) {
    const std::byte* begin = bytes + codec.bytes_for(int64_t(at + tokens.begin) * dim);
    const auto format = codec.format();
    if (format && kernels().score_rows[size_t(*format)] != nullptr && part_.count <= kStreamed)
      return {*format, begin};
    const size_t values = size_t(tokens.end - tokens.begin) * size_t(dim);
    codec.decode({begin, size_t(codec.bytes_for(int64_t(values)))}, {tile_.data(), values});
    return {Format::f32, tile_.data()};
  }

  void score(const KvPageView& page, int32_t at, SeenTokens any) {
    if (page.pack != nullptr) {
      return page.pack->score(page.keys.data(), spec_.key_dim, {keys_of_queries_.data(), part_.count},
                              spec_.scale, scores_[0].data());
    }
    const Bytes from = rows(codec_of(page, spec_), page.keys.data(), spec_.key_dim, at, any);
    kernels().score_rows[size_t(from.format)](from.at, size_t(any.end - any.begin), keys_of_queries_.data(),
                                              size_t(part_.count), size_t(spec_.key_dim), spec_.scale,
                                              &scores_[0][size_t(any.begin)], at == 0 ? next_.keys : nullptr);
  }

  static void fade(const Query& query, SeenTokens tokens, std::span<const int32_t> positions, float* scores) {
    for (int32_t t = tokens.begin; t < tokens.end; ++t)
      scores[t] -= query.slope * float(std::abs(query.position - positions[size_t(t)]));
  }

  // Scores of what is seen become shares, those of the rest of the tile 0.
  void soften(int32_t i, float* scores, SeenTokens any, std::span<const float> weights) {
    const Kernels& k = kernels();
    const SeenTokens tokens = sees_[i];
    float* seen = scores + tokens.begin;
    const auto n = size_t(std::max(0, tokens.end - tokens.begin));
    if (spec_.soft_cap > 0) k.soft_cap(seen, spec_.soft_cap, n);
    for (size_t t = 0; !weights.empty() && t < n; ++t) seen[t] += weights[size_t(tokens.begin) + t];
    Partial& partial = partial_[i];
    const float largest = std::max(partial.largest, k.max(seen, n));
    if (n == 0 || largest == -std::numeric_limits<float>::infinity()) {
      std::fill(scores + any.begin, scores + any.end, 0.f);
      return;
    }
    if (largest > partial.largest && partial.sum > 0) {
      const float shrink = std::exp(partial.largest - largest);
      partial.sum *= shrink;
      k.scale(outs_ + i * spec_.value_dim, shrink, size_t(spec_.value_dim));
    }
    partial.largest = largest;
    partial.sum += k.exp_sum(seen, largest, n);
    std::fill(scores + any.begin, seen, 0.f);
    std::fill(seen + n, scores + any.end, 0.f);
  }

  void mix(const KvPageView& page, int32_t at, SeenTokens any) {
    if (page.pack != nullptr) {
      return page.pack->mix(page.values.data(), spec_.value_dim, scores_[0].data(), part_.count, outs_);
    }
    const Bytes from = rows(codec_of(page, spec_), page.values.data(), spec_.value_dim, at, any);
    kernels().mix_rows[size_t(from.format)](
        from.at, size_t(any.end - any.begin), &scores_[0][size_t(any.begin)], size_t(part_.count),
        size_t(spec_.value_dim), outs_, size_t(spec_.value_dim), at == 0 ? next_.values : nullptr);
  }

  const AttendSpec& spec_;
  const Part& part_;
  Partial* partial_ = nullptr;
  float* outs_ = nullptr;
  struct {
    const void *keys = nullptr, *values = nullptr;
  } next_;  // page
  std::array<Query, kQueries> query_;
  std::array<SeenTokens, kQueries> sees_;
  alignas(64) std::array<std::array<float, kTokens>, kQueries> scores_;
  alignas(64) std::array<float, kQueries * kMaxHeadDim> keys_of_queries_;
  alignas(64) std::array<float, kTokens * kMaxHeadDim> tile_;
};

// A query's row of the result.
struct Out {
  const AttendSpec& spec;
  Rows rows;
  float* of(const Part& part, int32_t i) const {
    return RowsAccess::row(rows, part.segment->first_row + part.row(spec, i)) +
           part.head(spec, i) * spec.value_dim;
  }
  void finish(const Part& part, int32_t i, const Partial& all) const {
    if (all.sum > 0) kernels().scale(of(part, i), 1 / all.sum, size_t(spec.value_dim));
    if (part.log_sums == nullptr) return;
    part.log_sums[part.row(spec, i) * spec.heads + part.head(spec, i)] = all.largest + std::log(all.sum);
  }
};

// Span after span.
void run_whole(const Out& out, Rows queries, const Part& part) {
  const AttendSpec& spec = out.spec;
  const auto dim = size_t(spec.value_dim);
  Task task(spec, queries, part);
  std::array<Partial, kQueries> all{}, some;
  alignas(64) std::array<float, kQueries * kMaxHeadDim> outs;
  for (int32_t i = 0; i < part.count; ++i) std::fill_n(out.of(part, i), dim, 0.f);
  for (int32_t span = 0; span < part.spans(); ++span) {
    task.run(span, some.data(), outs.data());
    for (int32_t i = 0; i < part.count; ++i)
      merge(all[size_t(i)], out.of(part, i), some[size_t(i)], &outs[size_t(i) * dim], dim);
  }
  for (int32_t i = 0; i < part.count; ++i) out.finish(part, i, all[size_t(i)]);
}

// The spans of few queries at once, for as many threads as there are; then merged as if one after another.
void run_split(ThreadPool& pool, const Out& out, Rows queries, std::span<const Part> parts) {
  const AttendSpec& spec = out.spec;
  const auto dim = size_t(spec.value_dim);
  struct Piece {
    const Part* part;
    int32_t span;
    size_t at;  // of its first query
  };
  std::vector<Piece> pieces;
  size_t queries_in_all = 0;
  for (const Part& part : parts) {
    for (int32_t span = 0; span < part.spans(); ++span, queries_in_all += size_t(part.count))
      pieces.push_back({&part, span, queries_in_all});
  }
  std::vector<Partial> partials(queries_in_all);
  std::vector<float> outs(queries_in_all * dim);
  pool.run(int64_t(pieces.size()), [&](int64_t i) {
    const Piece& piece = pieces[size_t(i)];
    Task(spec, queries, *piece.part).run(piece.span, &partials[piece.at], &outs[piece.at * dim]);
  });
  for (size_t first = 0; first < pieces.size();) {
    const Part& part = *pieces[first].part;
    for (int32_t i = 0; i < part.count; ++i) {
      Partial all;
      std::fill_n(out.of(part, i), dim, 0.f);
      for (int32_t span = 0; span < part.spans(); ++span) {
        const size_t at = pieces[first + size_t(span)].at + size_t(i);
        merge(all, out.of(part, i), partials[at], &outs[at * dim], dim);
      }
      out.finish(part, i, all);
    }
    first += size_t(part.spans());
  }
}

void check_segment(const AttendSpec& spec, Rows queries, const AttendSegment& segment) {
  CHECK(segment.first_row >= 0 && segment.rows >= 0 && segment.first_row + segment.rows <= queries.count(),
        "a segment lies inside the rows");
  CHECK(int32_t(segment.positions.size()) == segment.rows && int32_t(segment.lanes.size()) == spec.kv_heads,
        "a position a row and a lane a KV head");
  for (const auto& lane : segment.lanes) {
    for (const KvPageView& page : lane) {
      const auto tokens = int64_t(page.positions.size());
      CHECK(page.pack != nullptr
                ? tokens <= kTokens && int64_t(page.keys.size()) >= page.pack->key_bytes(spec.key_dim) &&
                      int64_t(page.values.size()) >= page.pack->value_bytes(spec.value_dim)
                : int64_t(page.keys.size()) >= codec_of(page, spec).bytes_for(tokens * spec.key_dim) &&
                      int64_t(page.values.size()) >= codec_of(page, spec).bytes_for(tokens * spec.value_dim),
            "a page holds its tokens");
      CHECK(page.weights.empty() || int64_t(page.weights.size()) == tokens, "a weight a token");
    }
  }
}

void check_shapes(const AttendSpec& spec, Rows queries, Rows out) {
  CHECK(spec.kv_heads > 0 && spec.heads % spec.kv_heads == 0 && spec.codec != nullptr, "shapes of attention");
  CHECK(spec.key_dim > 0 && spec.key_dim <= kMaxHeadDim && spec.value_dim > 0 &&
            spec.value_dim <= kMaxHeadDim && spec.key_dim % int32_t(spec.codec->block_values()) == 0 &&
            spec.value_dim % int32_t(spec.codec->block_values()) == 0,
        "the width of a head");
  CHECK(queries.width() == spec.heads * spec.key_dim && out.width() == spec.heads * spec.value_dim &&
            queries.count() == out.count(),
        "shapes of attention");
}

}  // namespace

void Ops::attend(const AttendSpec& spec, Rows queries, std::span<const AttendSegment> segments, Rows rows) {
  check_shapes(spec, queries, rows);
  std::vector<Part> whole, split;
  std::vector<std::vector<float>> log_sums(segments.size());
  for (size_t at = 0; at < segments.size(); ++at) {
    const AttendSegment& segment = segments[at];
    check_segment(spec, queries, segment);
    if (!segment.scores.lanes.empty()) log_sums[at].resize(size_t(segment.rows) * size_t(spec.heads));
    float* sums = log_sums[at].empty() ? nullptr : log_sums[at].data();
    const int32_t all = segment.rows * (spec.heads / spec.kv_heads);
    for (int32_t head = 0; head < spec.kv_heads; ++head) {
      for (int32_t first = 0; first < all; first += kQueries) {
        const Part part{&segment, head, first, std::min(kQueries, all - first), sums};
        (part.spans() > 1 && all <= kQueries ? split : whole).push_back(part);
      }
    }
  }
  const Out out{spec, rows};
  pool_.run(int64_t(whole.size()), [&](int64_t i) { run_whole(out, queries, whole[size_t(i)]); });
  run_split(pool_, out, queries, split);
  for (size_t at = 0; at < segments.size(); ++at) {
    if (!log_sums[at].empty()) count_attention(pool_, spec, queries, segments[at], log_sums[at]);
  }
}

}  // namespace varve

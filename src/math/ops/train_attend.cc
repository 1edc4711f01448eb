// Attention without a cache, forth and back, in blocks of 64 x 64 (Dao et al. 2022): the probabilities are
// never held, the log of their sum is. A task owns all that it writes: forth a stretch of queries of a head,
// back a KV head of a document with all its query heads. What is read more than once is packed once a
// stretch.
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "math/ops/factor.h"
#include "math/ops/train.h"

namespace varve {
namespace {

constexpr int32_t kBlock = 64;
constexpr int32_t kStretch = 8;         // blocks of queries that share a packed block of keys
constexpr int32_t kRoom = kBlock * 64;  // values of a packed block of a head 64 wide
constexpr int32_t kWide = kMaxTrainHeadDim;
constexpr float kNone = -std::numeric_limits<float>::infinity();

struct View {  // rows of floats
  float* at = nullptr;
  int64_t stride = 0;
};
View view(Rows rows, int32_t row, int32_t column) {
  return {RowsAccess::row(rows, row) + column, RowsAccess::stride(rows)};
}

// A factor of a block product: packed, or as it is.
struct Piece {
  Factor factor;
  const uint16_t* tiles = nullptr;
};
// Where a piece is packed.
template <int32_t values>
struct alignas(64) Room {
  uint16_t tiles[size_t(values)];
};

// The products of blocks, in either precision.
struct Blocks {
  bool exact;

  Piece make(uint16_t* room, Pack how, View from, int32_t size, int32_t depth) const {
    Piece piece{{how, size, depth, from.at, from.stride, nullptr}, nullptr};
    if (exact) return piece;
    const int64_t apart = tiles(depth, kTileDepth) * int64_t(kTileValues);
    pack_rows(piece.factor, {0, tiles(size, kTileSize), 0, depth, apart}, room);
    piece.tiles = room;
    return piece;
  }
  void multiply(const Piece& left, const Piece& right, View out, bool add) const {
    const Factor &a = left.factor, &b = right.factor;
    if (!exact) {
      kernels().multiply(left.tiles, size_t(a.size), right.tiles, size_t(b.size),
                         size_t(tiles(a.depth, kTileDepth)), out.at, size_t(out.stride), add);
      return;
    }
    for (int64_t i = 0; i < a.size; ++i) {
      for (int64_t j = 0; j < b.size; ++j) {
        double sum = add ? double(out.at[i * out.stride + j]) : 0;
        for (int64_t k = 0; k < a.depth; ++k) sum += double(value(a, i, k)) * double(value(b, j, k));
        out.at[i * out.stride + j] = float(sum);
      }
    }
  }

 private:
  static float value(const Factor& f, int64_t size, int64_t depth) {
    return f.deep_rows() ? f.from[depth * f.stride + size] : f.from[size * f.stride + depth];
  }
};

// Queries of one document, [first, end), few enough blocks that all their packed rows have room.
struct Stretch {
  int32_t start, first, end;  // start: of the document
  int32_t blocks() const { return (end - first + kBlock - 1) / kBlock; }
  int32_t query(int32_t block) const { return first + block * kBlock; }
  int32_t queries(int32_t block) const { return std::min(kBlock, end - query(block)); }
};
int32_t stretch_rows(const DocumentAttention& spec) {
  const int32_t dim = std::max({spec.key_dim, spec.value_dim, 64});
  return kBlock * std::max(1, kStretch * 64 / dim);
}
// Of tiles that are whole: what a head of this width takes of a Room of kStretch blocks.
int32_t block_room(int32_t dim) {
  return kBlock * int32_t(tiles(dim, kTileDepth)) * int32_t(kTileDepth);
}

// Which keys of a block each query of another sees.
struct Seen {
  int32_t first[kBlock], end[kBlock];
  Seen(const DocumentAttention& spec, int32_t start, int32_t query, int32_t queries, int32_t key,
       int32_t keys) {
    for (int32_t i = 0; i < queries; ++i) {
      const int32_t from = spec.window > 0 ? std::max(start, query + i - spec.window + 1) : start;
      first[i] = std::clamp(from - key, 0, keys);
      end[i] = std::max(first[i], std::clamp(query + i + 1 - key, 0, keys));
    }
  }
};
// The block of keys that the first of these queries sees first.
int32_t first_key(const DocumentAttention& spec, int32_t query, int32_t start) {
  const int32_t from = spec.window > 0 ? std::max(start, query - spec.window + 1) : start;
  return start + (from - start) / kBlock * kBlock;
}

// The log-multiplicities of a block of keys of one KV head, and which queries see each with its own.
struct Weighed {
  const DocumentAttention& spec;
  int32_t key, keys, kv;
  float logs[kBlock];  // over the factor that scores are still to be multiplied by

  Weighed(const DocumentAttention& of, int32_t first, int32_t count, int32_t head)
      : spec(of), key(first), keys(spec.logs.empty() ? 0 : count), kv(head) {
    for (int32_t j = 0; j < keys; ++j) logs[j] = spec.logs[at(j)] / spec.scale;
  }
  size_t at(int32_t j) const { return size_t(key + j) * size_t(spec.kv_heads) + size_t(kv); }
  int32_t end(int32_t query) const { return std::clamp(query - spec.near + 1 - key, 0, keys); }
  void add(float* scores, int32_t query, int32_t queries) const {
    for (int32_t i = 0; i < queries; ++i) {
      for (int32_t j = 0; j < end(query + i); ++j) scores[i * kBlock + j] += logs[j];
    }
  }
  // d: slopes of scores before the factor.
  void collect(const float* d, int32_t query, int32_t queries, std::span<float> dlogs) const {
    for (int32_t i = 0; i < queries && !dlogs.empty(); ++i) {
      for (int32_t j = 0; j < end(query + i); ++j) dlogs[at(j)] += d[i * kBlock + j] / spec.scale;
    }
  }
};

struct Forward {
  const DocumentAttention& spec;
  Rows q, k, v, out, log_sums;
  Blocks blocks;

  struct Running {
    float largest[kStretch * kBlock], sum[kStretch * kBlock];
    alignas(64) float scores[kBlock * kBlock];
    Room<kStretch * kRoom> queries;
    Room<kBlock * kWide> keys, values;
    Room<kRoom> packed;
  };
  struct Keys {
    int32_t key, keys;
    Piece turned, values;
    Weighed weighed;
  };

  // One block of queries against one of keys; the output's rows hold what was summed so far.
  void block(Running& now, const Stretch& at, int32_t b, int32_t head, const Piece& queries,
             const Keys& keys) const {
    const int32_t query = at.query(b), n = at.queries(b);
    blocks.multiply(queries, keys.turned, {now.scores, kBlock}, false);
    keys.weighed.add(now.scores, query, n);
    const Seen seen(spec, at.start, query, n, keys.key, keys.keys);
    float shrink[kBlock];
    kernels().soften(now.scores, kBlock, size_t(n), size_t(keys.keys), {seen.first, seen.end}, spec.scale,
                     {now.largest + b * kBlock, now.sum + b * kBlock, shrink});
    const View to = view(out, query, head * spec.value_dim);
    for (int32_t i = 0; i < n; ++i) {
      if (shrink[i] != 1) kernels().scale(to.at + i * to.stride, shrink[i], size_t(spec.value_dim));
    }
    blocks.multiply(blocks.make(now.packed.tiles, Pack::left, {now.scores, kBlock}, n, keys.keys),
                    keys.values, to, true);
  }

  void stretch(const Stretch& at, int32_t head) const {
    const int32_t kv = head / (spec.heads / spec.kv_heads), rows = at.end - at.first;
    Running now;
    std::fill_n(now.largest, rows, kNone);
    std::fill_n(now.sum, rows, 0.f);
    Piece queries[kStretch];
    for (int32_t b = 0; b < at.blocks(); ++b) {
      queries[b] = blocks.make(now.queries.tiles + b * block_room(spec.key_dim), Pack::left,
                               view(q, at.query(b), head * spec.key_dim), at.queries(b), spec.key_dim);
    }
    for (int32_t i = at.first; i < at.end; ++i) {
      std::fill_n(RowsAccess::row(out, i) + head * spec.value_dim, spec.value_dim, 0.f);
    }
    for (int32_t key = first_key(spec, at.first, at.start); key < at.end; key += kBlock) {
      const int32_t count = std::min(kBlock, at.end - key);
      Keys keys{key, count, {}, {}, {spec, key, count, kv}};
      keys.turned = blocks.make(now.keys.tiles, Pack::right_turned, view(k, key, kv * spec.key_dim),
                                keys.keys, spec.key_dim);
      keys.values = blocks.make(now.values.tiles, Pack::right, view(v, key, kv * spec.value_dim),
                                spec.value_dim, keys.keys);
      for (int32_t b = std::max(0, (key - at.first) / kBlock); b < at.blocks(); ++b) {
        if (first_key(spec, at.query(b), at.start) <= key) block(now, at, b, head, queries[b], keys);
      }
    }
    for (int32_t i = 0; i < rows; ++i) {
      kernels().scale(RowsAccess::row(out, at.first + i) + head * spec.value_dim, 1 / now.sum[i],
                      size_t(spec.value_dim));
      RowsAccess::row(log_sums, at.first + i)[head] = now.largest[i] + std::log(now.sum[i]);
    }
  }
};

struct Backward {
  const DocumentAttention& spec;
  const TrainOps::AttendBack& rows;
  Blocks blocks;

  struct Working {
    float log_sums[kStretch * kBlock], shifts[kStretch * kBlock];
    alignas(64) float p[kBlock * kBlock];
    alignas(64) float d[kBlock * kBlock];
    Room<kStretch * kRoom> queries, turned_queries, slopes, turned_slopes;
    Room<kBlock * kWide> keys, turned_keys, values;
    Room<kRoom> packed;
  };
  struct Queries {  // of a block, each as the left and the right factor
    Piece q, deep_q, d, deep_d;
  };
  struct Keys {
    int32_t key, keys, kv;
    Piece turned, deep, values;
    Weighed weighed;
  };

  // A block of queries of one head against a block of keys: dq of the queries, dk and dv of the keys.
  void block(Working& now, const Stretch& at, int32_t b, int32_t head, const Queries& queries,
             const Keys& keys) const {
    const int32_t query = at.query(b), n = at.queries(b);
    blocks.multiply(queries.q, keys.turned, {now.p, kBlock}, false);
    keys.weighed.add(now.p, query, n);
    blocks.multiply(queries.d, keys.values, {now.d, kBlock}, false);
    const Seen seen(spec, at.start, query, n, keys.key, keys.keys);
    kernels().soften_back(now.p, now.d, kBlock, size_t(n), size_t(keys.keys), {seen.first, seen.end},
                          spec.scale, {now.log_sums + b * kBlock, now.shifts + b * kBlock});
    keys.weighed.collect(now.d, query, n, rows.dlogs);
    uint16_t* room = now.packed.tiles;
    blocks.multiply(blocks.make(room, Pack::left_turned, {now.p, kBlock}, keys.keys, n), queries.deep_d,
                    view(rows.dv, keys.key, keys.kv * spec.value_dim), true);
    blocks.multiply(blocks.make(room, Pack::left_turned, {now.d, kBlock}, keys.keys, n), queries.deep_q,
                    view(rows.dk, keys.key, keys.kv * spec.key_dim), true);
    blocks.multiply(blocks.make(room, Pack::left, {now.d, kBlock}, n, keys.keys), keys.deep,
                    view(rows.dq, query, head * spec.key_dim), true);
  }

  Queries pack(Working& now, const Stretch& at, int32_t b, int32_t head) const {
    const View q = view(rows.q, at.query(b), head * spec.key_dim);
    const View d = view(rows.d, at.query(b), head * spec.value_dim);
    const int32_t n = at.queries(b), key = b * block_room(spec.key_dim),
                  value = b * block_room(spec.value_dim);
    return {blocks.make(now.queries.tiles + key, Pack::left, q, n, spec.key_dim),
            blocks.make(now.turned_queries.tiles + key, Pack::right, q, spec.key_dim, n),
            blocks.make(now.slopes.tiles + value, Pack::left, d, n, spec.value_dim),
            blocks.make(now.turned_slopes.tiles + value, Pack::right, d, spec.value_dim, n)};
  }

  void stretch(Working& now, const Stretch& at, int32_t head) const {
    Queries queries[kStretch];
    for (int32_t b = 0; b < at.blocks(); ++b) queries[b] = pack(now, at, b, head);
    for (int32_t i = 0; i < at.end - at.first; ++i) {
      const int32_t row = at.first + i, value = head * spec.value_dim;
      now.log_sums[i] = RowsAccess::row(rows.log_sums, row)[head];
      now.shifts[i] = kernels().dot(RowsAccess::row(rows.out, row) + value,
                                    RowsAccess::row(rows.d, row) + value, nullptr, size_t(spec.value_dim));
      std::fill_n(RowsAccess::row(rows.dq, row) + head * spec.key_dim, spec.key_dim, 0.f);
    }
    const int32_t kv = head / (spec.heads / spec.kv_heads);
    for (int32_t key = first_key(spec, at.first, at.start); key < at.end; key += kBlock) {
      const int32_t count = std::min(kBlock, at.end - key);
      Keys keys{key, count, kv, {}, {}, {}, {spec, key, count, kv}};
      const View k = view(rows.k, key, kv * spec.key_dim), v = view(rows.v, key, kv * spec.value_dim);
      keys.turned = blocks.make(now.turned_keys.tiles, Pack::right_turned, k, keys.keys, spec.key_dim);
      keys.deep = blocks.make(now.keys.tiles, Pack::right, k, spec.key_dim, keys.keys);
      keys.values = blocks.make(now.values.tiles, Pack::right_turned, v, keys.keys, spec.value_dim);
      for (int32_t b = std::max(0, (key - at.first) / kBlock); b < at.blocks(); ++b) {
        if (first_key(spec, at.query(b), at.start) <= key) block(now, at, b, head, queries[b], keys);
      }
    }
  }

  void document(int32_t kv, int32_t start, int32_t end) const {
    for (int32_t i = start; i < end; ++i) {
      std::fill_n(RowsAccess::row(rows.dk, i) + kv * spec.key_dim, spec.key_dim, 0.f);
      std::fill_n(RowsAccess::row(rows.dv, i) + kv * spec.value_dim, spec.value_dim, 0.f);
      if (!rows.dlogs.empty()) rows.dlogs[size_t(i) * size_t(spec.kv_heads) + size_t(kv)] = 0;
    }
    Working now;
    const int32_t group = spec.heads / spec.kv_heads, step = stretch_rows(spec);
    for (int32_t head = kv * group; head < (kv + 1) * group; ++head) {
      for (int32_t first = start; first < end; first += step) {
        stretch(now, {start, first, std::min(end, first + step)}, head);
      }
    }
  }
};

void check_spec(const DocumentAttention& spec, Rows q, Rows k, Rows v) {
  CHECK(spec.heads > 0 && spec.kv_heads > 0 && spec.heads % spec.kv_heads == 0 && spec.key_dim > 0 &&
            spec.value_dim > 0 && spec.key_dim <= kMaxTrainHeadDim && spec.value_dim <= kMaxTrainHeadDim,
        "shapes of attention");
  CHECK(q.width() == spec.heads * spec.key_dim && k.width() == spec.kv_heads * spec.key_dim &&
            v.width() == spec.kv_heads * spec.value_dim && q.count() == k.count() && q.count() == v.count(),
        "shapes of attention");
  CHECK(spec.near > 0 && (spec.logs.empty() || spec.logs.size() == size_t(q.count()) * size_t(spec.kv_heads)),
        "a log-multiplicity a key, and none of its own");
  CHECK(!spec.starts.empty() && spec.starts[0] == 0 && spec.starts.back() < q.count(),
        "where documents begin");
}

// All documents in pieces of `step` rows.
std::vector<Stretch> stretches(std::span<const int32_t> starts, int32_t rows, int32_t step) {
  std::vector<Stretch> all;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int32_t end = i + 1 < starts.size() ? starts[i + 1] : rows;
    for (int32_t first = starts[i]; first < end; first += step) {
      all.push_back({starts[i], first, std::min(end, first + step)});
    }
  }
  return all;
}

}  // namespace

void TrainOps::attend(const DocumentAttention& spec, Rows q, Rows k, Rows v, Rows out, Rows log_sums) {
  check_spec(spec, q, k, v);
  const std::vector<Stretch> all = stretches(spec.starts, q.count(), stretch_rows(spec));
  const Forward forward{spec, q, k, v, out, log_sums, {precision_ == Precision::exact}};
  pool_.run(int64_t(all.size()) * spec.heads, [&](int64_t task) {
    forward.stretch(all[size_t(task / spec.heads)], int32_t(task % spec.heads));
  });
}

void TrainOps::attend_back(const DocumentAttention& spec, const AttendBack& rows) {
  check_spec(spec, rows.q, rows.k, rows.v);
  const std::vector<Stretch> documents = stretches(spec.starts, rows.q.count(), rows.q.count());
  const Backward backward{spec, rows, {precision_ == Precision::exact}};
  pool_.run(int64_t(documents.size()) * spec.kv_heads, [&](int64_t task) {
    const Stretch& one = documents[size_t(task / spec.kv_heads)];
    backward.document(int32_t(task % spec.kv_heads), one.start, one.end);
  });
}

}  // namespace varve

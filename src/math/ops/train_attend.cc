// Attention without a cache, forth and back, in blocks of 64 x 64 (Dao et al. 2022): the probabilities are
// never held, the log of their sum is. A task owns all that it writes: forth a block of queries of a head,
// back a KV head of a document with all its query heads.
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "math/ops/factor.h"
#include "math/ops/train.h"

namespace varve {
namespace {

constexpr int32_t kBlock = 64;
constexpr size_t kWide = kMaxTrainHeadDim;
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

// The products of blocks, in either precision, with room for the packed factors of one task.
class Blocks {
 public:
  explicit Blocks(bool exact) : exact_(exact) {}

  Piece make(int slot, Pack how, View from, int32_t size, int32_t depth) {
    Piece piece{{how, size, depth, from.at, from.stride, nullptr}, nullptr};
    if (exact_) return piece;
    uint16_t* to = room_[slot].tiles;
    const int64_t apart = tiles(depth, kTileDepth) * int64_t(kTileValues);
    pack_rows(piece.factor, {0, tiles(size, kTileSize), 0, depth, apart}, to);
    piece.tiles = to;
    return piece;
  }
  void multiply(const Piece& left, const Piece& right, View out, bool add) const {
    const Factor &a = left.factor, &b = right.factor;
    if (!exact_) {
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
  struct alignas(64) Room {
    uint16_t tiles[kBlock * kWide];
  };
  bool exact_;
  Room room_[10];
};

struct Shape {
  int32_t heads, key, value, window;
  float scale;
};

// Which keys of a block a query sees: [first, end).
struct Seen {
  int32_t first, end;
};
Seen seen(int32_t query, int32_t keys, int32_t count, int32_t start, int32_t window) {
  const int32_t from = window > 0 ? std::max(start, query - window + 1) : start;
  return {std::clamp(from - keys, 0, count), std::clamp(query + 1 - keys, 0, count)};
}
int32_t first_key(int32_t query, int32_t start, int32_t window) {
  const int32_t from = window > 0 ? std::max(start, query - window + 1) : start;
  return start + (from - start) / kBlock * kBlock;
}

struct Forward {
  const DocumentAttention& spec;
  Rows q, k, v, out, log_sums;

  struct Running {
    float largest[kBlock], sum[kBlock];
    alignas(64) float scores[kBlock * kBlock];
    alignas(64) float values[kBlock * kWide];
  };

  // Scores become exponentials; what was summed so far shrinks to the new maximum.
  void soften(Running& now, int32_t row, Seen keys) const {
    const Kernels& k_ = kernels();
    float* scores = now.scores + row * kBlock;
    std::fill_n(scores, keys.first, 0.f);
    std::fill(scores + keys.end, scores + kBlock, 0.f);
    if (keys.first >= keys.end) return;
    const auto n = size_t(keys.end - keys.first);
    k_.scale(scores + keys.first, spec.scale, n);
    const float largest = std::max(now.largest[row], k_.max(scores + keys.first, n));
    const float shrink = now.sum[row] == 0 ? 0 : std::exp(now.largest[row] - largest);
    now.sum[row] = now.sum[row] * shrink + k_.exp_sum(scores + keys.first, largest, n);
    now.largest[row] = largest;
    if (shrink != 1) k_.scale(now.values + size_t(row) * kWide, shrink, size_t(spec.value_dim));
  }

  void block(Blocks& blocks, int32_t head, int32_t start, int32_t query, int32_t rows) const {
    const int32_t kv = head / (spec.heads / spec.kv_heads);
    Running now;
    std::fill_n(now.largest, kBlock, kNone);
    std::fill_n(now.sum, kBlock, 0.f);
    std::fill_n(now.values, kBlock * kWide, 0.f);
    const Piece queries = blocks.make(0, Pack::left, view(q, query, head * spec.key_dim), rows, spec.key_dim);
    for (int32_t key = first_key(query, start, spec.window); key < query + rows; key += kBlock) {
      const int32_t keys = std::min(kBlock, query + rows - key);
      blocks.multiply(queries,
                      blocks.make(1, Pack::right_turned, view(k, key, kv * spec.key_dim), keys, spec.key_dim),
                      {now.scores, kBlock}, false);
      for (int32_t i = 0; i < rows; ++i) soften(now, i, seen(query + i, key, keys, start, spec.window));
      blocks.multiply(blocks.make(2, Pack::left, {now.scores, kBlock}, rows, keys),
                      blocks.make(3, Pack::right, view(v, key, kv * spec.value_dim), spec.value_dim, keys),
                      {now.values, int64_t(kWide)}, true);
    }
    for (int32_t i = 0; i < rows; ++i) {
      float* to = RowsAccess::row(out, query + i) + head * spec.value_dim;
      std::copy_n(now.values + size_t(i) * kWide, spec.value_dim, to);
      kernels().scale(to, 1 / now.sum[i], size_t(spec.value_dim));
      RowsAccess::row(log_sums, query + i)[head] = now.largest[i] + std::log(now.sum[i]);
    }
  }
};

struct Backward {
  const DocumentAttention& spec;
  const TrainOps::AttendBack& rows;

  struct Room {
    alignas(64) float p[kBlock * kBlock];
    alignas(64) float d[kBlock * kBlock];
    alignas(64) float keys[kBlock * kWide];
    alignas(64) float values[kBlock * kWide];
  };

  // A block of queries of one head against a block of keys: dq of the queries, dk and dv of the keys.
  struct Place {
    int32_t head, kv, start, query, queries, key, keys;
  };
  void block(Blocks& blocks, Room& room, const Place& at) const {
    const Kernels& k = kernels();
    const View q = view(rows.q, at.query, at.head * spec.key_dim);
    const View key = view(rows.k, at.key, at.kv * spec.key_dim);
    const View d = view(rows.d, at.query, at.head * spec.value_dim);
    blocks.multiply(blocks.make(0, Pack::left, q, at.queries, spec.key_dim),
                    blocks.make(1, Pack::right_turned, key, at.keys, spec.key_dim), {room.p, kBlock}, false);
    blocks.multiply(blocks.make(2, Pack::left, d, at.queries, spec.value_dim),
                    blocks.make(3, Pack::right_turned, view(rows.v, at.key, at.kv * spec.value_dim), at.keys,
                                spec.value_dim),
                    {room.d, kBlock}, false);
    for (int32_t i = 0; i < at.queries; ++i) {
      float *p = room.p + i * kBlock, *dp = room.d + i * kBlock;
      const Seen some = seen(at.query + i, at.key, at.keys, at.start, spec.window);
      const int32_t end = std::max(some.first, some.end);
      for (float* x : {p, dp}) {
        std::fill_n(x, some.first, 0.f);
        std::fill(x + end, x + kBlock, 0.f);
      }
      const auto n = size_t(end - some.first);
      k.scale(p + some.first, spec.scale, n);
      k.exp_sum(p + some.first, RowsAccess::row(rows.log_sums, at.query + i)[at.head], n);
      const float shift = k.dot(RowsAccess::row(rows.out, at.query + i) + at.head * spec.value_dim,
                                RowsAccess::row(rows.d, at.query + i) + at.head * spec.value_dim, nullptr,
                                size_t(spec.value_dim));
      k.softmax_back(p + some.first, shift, spec.scale, n, dp + some.first);
    }
    blocks.multiply(blocks.make(4, Pack::left_turned, {room.p, kBlock}, at.keys, at.queries),
                    blocks.make(5, Pack::right, d, spec.value_dim, at.queries), {room.values, int64_t(kWide)},
                    true);
    blocks.multiply(blocks.make(6, Pack::left_turned, {room.d, kBlock}, at.keys, at.queries),
                    blocks.make(7, Pack::right, q, spec.key_dim, at.queries), {room.keys, int64_t(kWide)},
                    true);
    blocks.multiply(blocks.make(8, Pack::left, {room.d, kBlock}, at.queries, at.keys),
                    blocks.make(9, Pack::right, key, spec.key_dim, at.keys),
                    view(rows.dq, at.query, at.head * spec.key_dim), true);
  }

  void document(Blocks& blocks, Room& room, int32_t kv, int32_t start, int32_t end) const {
    const int32_t group = spec.heads / spec.kv_heads;
    for (int32_t i = start; i < end; ++i) {
      std::fill_n(RowsAccess::row(rows.dq, i) + kv * group * spec.key_dim, group * spec.key_dim, 0.f);
    }
    for (int32_t key = start; key < end; key += kBlock) {
      const int32_t keys = std::min(kBlock, end - key);
      std::fill_n(room.keys, kBlock * kWide, 0.f);
      std::fill_n(room.values, kBlock * kWide, 0.f);
      for (int32_t head = kv * group; head < (kv + 1) * group; ++head) {
        for (int32_t query = key; query < end; query += kBlock) {
          if (first_key(query, start, spec.window) > key) break;
          block(blocks, room, {head, kv, start, query, std::min(kBlock, end - query), key, keys});
        }
      }
      for (int32_t i = 0; i < keys; ++i) {
        std::copy_n(room.keys + size_t(i) * kWide, spec.key_dim,
                    RowsAccess::row(rows.dk, key + i) + kv * spec.key_dim);
        std::copy_n(room.values + size_t(i) * kWide, spec.value_dim,
                    RowsAccess::row(rows.dv, key + i) + kv * spec.value_dim);
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
  CHECK(!spec.starts.empty() && spec.starts[0] == 0 && spec.starts.back() < q.count(),
        "where documents begin");
}

struct Unit {  // a document, or a block of its queries
  int32_t start, end, query;
};
std::vector<Unit> units(std::span<const int32_t> starts, int32_t rows, int32_t step) {
  std::vector<Unit> all;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int32_t end = i + 1 < starts.size() ? starts[i + 1] : rows;
    for (int32_t query = starts[i]; query < end; query += step) all.push_back({starts[i], end, query});
  }
  return all;
}

}  // namespace

void TrainOps::attend(const DocumentAttention& spec, Rows q, Rows k, Rows v, Rows out, Rows log_sums) {
  check_spec(spec, q, k, v);
  const std::vector<Unit> all = units(spec.starts, q.count(), kBlock);
  const Forward forward{spec, q, k, v, out, log_sums};
  const bool exact = precision_ == Precision::exact;
  pool_.run(int64_t(all.size()), [&](int64_t task) {
    Blocks blocks(exact);
    const Unit& unit = all[size_t(task)];
    for (int32_t head = 0; head < spec.heads; ++head) {
      forward.block(blocks, head, unit.start, unit.query, std::min(kBlock, unit.end - unit.query));
    }
  });
}

void TrainOps::attend_back(const DocumentAttention& spec, const AttendBack& rows) {
  check_spec(spec, rows.q, rows.k, rows.v);
  const std::vector<Unit> all = units(spec.starts, rows.q.count(), rows.q.count());
  const Backward backward{spec, rows};
  const bool exact = precision_ == Precision::exact;
  pool_.run(int64_t(all.size()) * spec.kv_heads, [&](int64_t task) {
    const Unit& unit = all[size_t(task / spec.kv_heads)];
    Blocks blocks(exact);
    Backward::Room room;
    backward.document(blocks, room, int32_t(task % spec.kv_heads), unit.start, unit.end);
  });
}

}  // namespace varve

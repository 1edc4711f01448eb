#include "learn/optim/polar.h"

#include <algorithm>

#include "math/kernel/kernel.h"

namespace varve::optim {
namespace {

size_t tiles(size_t n, size_t size) {
  return (n + size - 1) / size;
}
size_t packed(size_t size, size_t depth) {  // numbers of a packed factor
  return tiles(size, kTileSize) * tiles(depth, kTileDepth) * kTileValues;
}

struct Side {  // of a product: `size` rows or columns, `depth` deep; turned: it lies depth by size
  const float* from;
  size_t size, depth;
  bool turned;

  void pack(bool left, uint16_t* to) const {
    const size_t stride = turned ? size : depth;
    for (size_t at = 0; at < size; at += kTileSize) {
      for (size_t deep = 0; deep < depth; deep += kTileDepth, to += kTileValues) {
        const size_t some = std::min(kTileSize, size - at), far = std::min(kTileDepth, depth - deep);
        const Pack how =
            left ? (turned ? Pack::left_turned : Pack::left) : (turned ? Pack::right : Pack::right_turned);
        kernels().pack(how, turned ? from + deep * stride + at : from + at * stride + deep, stride,
                       turned ? far : some, turned ? some : far, to);
      }
    }
  }
};

// out [left.size][right.size] = left right
void product(const Side& left, const Side& right, uint16_t* room, float* out) {
  uint16_t* other = room + packed(left.size, left.depth);
  left.pack(true, room), right.pack(false, other);
  kernels().multiply(room, left.size, other, right.size, tiles(left.depth, kTileDepth), out, right.size,
                     false);
}

}  // namespace

int64_t polar_work(ParamShape shape) {
  const auto r = size_t(shape.rows), c = size_t(shape.cols), n = std::min(r, c), m = std::max(r, c);
  const size_t most = std::max({2 * packed(n, m), 2 * packed(n, n), packed(n, n) + packed(m, n)});
  return int64_t(r * c + 2 * n * n + most / 2 + 64);
}

void polar(ParamShape shape, std::span<float> matrix, std::span<float> work) {
  const auto r = size_t(shape.rows), c = size_t(shape.cols), n = std::min(r, c);
  float *x = matrix.data(), *next = work.data(), *gram = next + r * c, *square = gram + n * n;
  auto* room = reinterpret_cast<uint16_t*>(square + n * n);
  const double size = kernels().squares(x, 0, r * c);
  if (!(size > 0)) return;
  kernels().scale(x, float(1 / std::sqrt(size)), r * c);
  for (int turn = 0; turn < 5; ++turn) {
    const bool wide = r <= c;
    if (wide) {
      product({x, r, c, false}, {x, r, c, false}, room, gram);  // x x^T
    } else {
      product({x, c, r, true}, {x, c, r, true}, room, gram);  // x^T x
    }
    product({gram, n, n, false}, {gram, n, n, true}, room, square);
    for (size_t i = 0; i < n * n; ++i) gram[i] = -4.7750f * gram[i] + 2.0315f * square[i];
    if (wide) {
      product({gram, n, n, false}, {x, c, r, true}, room, next);
    } else {
      product({x, r, c, false}, {gram, n, n, true}, room, next);
    }
    for (size_t i = 0; i < r * c; ++i) x[i] = 3.4445f * x[i] + next[i];
  }
}

}  // namespace varve::optim

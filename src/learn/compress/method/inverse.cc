// With H = R R^T, R upper, the inverse is R^-T R^-1: U = R^-1. Both steps walk whole rows from the last.
#include "learn/compress/method/inverse.h"

#include <algorithm>
#include <cmath>

#include "math/kernel/kernel.h"

namespace varve {
namespace {

constexpr int64_t kStrip = 256;

struct Square {
  float* values;
  size_t n;
  float* row(size_t i) const { return values + i * n; }
};

// Of the upper half of `h`, in place.
void factor(Square h, Ops& ops, float least) {
  for (size_t j = h.n; j-- > 0;) {
    float* own = h.row(j);
    const size_t behind = h.n - j - 1;
    const float left = own[j] - kernels().dot(own + j + 1, own + j + 1, nullptr, behind);
    own[j] = std::sqrt(std::max(left, least));
    const auto column = [&](size_t i) {
      float* row = h.row(i);
      row[j] = (row[j] - kernels().dot(row + j + 1, own + j + 1, nullptr, behind)) / own[j];
    };
    const auto strips = (int64_t(j) + kStrip - 1) / kStrip;
    if (strips < 2) {
      for (size_t i = 0; i < j; ++i) column(i);
    } else {
      ops.parallel(strips, [&](int64_t strip) {
        for (size_t i = size_t(strip * kStrip); i < std::min(j, size_t((strip + 1) * kStrip)); ++i) column(i);
      });
    }
  }
}

// u = r^-1, both upper; strips of columns on their own.
void invert(Square r, Square u, Ops& ops) {
  const auto n = int64_t(r.n);
  ops.parallel((n + kStrip - 1) / kStrip, [&](int64_t strip) {
    const auto first = size_t(strip * kStrip), end = size_t(std::min(n, (strip + 1) * kStrip));
    std::vector<float> by(r.n);
    for (size_t i = end; i-- > 0;) {
      const float inverse = 1 / r.row(i)[i];
      for (size_t k = i + 1; k < end; ++k) by[k] = -r.row(i)[k] * inverse;
      float* out = u.row(i) + first;
      std::fill_n(out, end - first, 0.f);
      if (i >= first) out[i - first] = inverse;
      if (i + 1 < end)
        kernels().mix(by.data() + i + 1, end - i - 1, u.row(i + 1) + first, u.n, end - first, out);
    }
  });
}

}  // namespace

Result<Buffer> inverse_factor(std::span<const float> gram, size_t n, float damp, Ops& ops, Ledger& ledger) {
  const auto bytes = int64_t(n * n) * 4;
  Buffer work = TRY(Buffer::make(ledger, Tag::scratch, bytes)),
         out = TRY(Buffer::make(ledger, Tag::scratch, bytes));
  const Square h{reinterpret_cast<float*>(work.bytes().data()), n},
      u{reinterpret_cast<float*>(out.bytes().data()), n};
  std::copy(gram.begin(), gram.end(), h.values);
  double mean = 0;
  for (size_t i = 0; i < n; ++i) mean += double(h.row(i)[i]) / double(n);
  if (!std::isfinite(mean))
    return Status(Code::invalid, "they are not finite: the model or its weights are broken");
  const float added = mean > 0 ? damp * float(mean) : 1.f;
  for (size_t i = 0; i < n; ++i) h.row(i)[i] += added;
  factor(h, ops, added / 16);
  invert(h, u, ops);
  return out;
}

}  // namespace varve

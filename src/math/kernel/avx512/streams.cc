// Weight rows straight from their bytes against inputs of 8 bits, as when tokens are generated.
#include "math/kernel/avx512/turned.h"

namespace varve {
namespace {

// W weight rows that lie `apart` bytes from each other - where the bytes are the limit and not what is made
// of them, W streams out of the memory are faster than one - by X inputs, which share what a panel became.
template <class Read, size_t W, size_t X>
void stream_block(const uint8_t* w, size_t apart, const InputPanel* x, size_t x_stride, size_t n, Lanes* sums,
                  size_t sums_apart) {
  __m512 sum[W][X];
  for (size_t i = 0; i < W; ++i) {
    for (size_t j = 0; j < X; ++j) sum[i][j] = get(sums[i * sums_apart + j]);
  }
  for (size_t at = 0; at < n; at += kPanel, w += kPanelBytes<Read>, ++x) {
    for (size_t i = 0; i < W; ++i) {
      fetch_ahead(w + i * apart, kPanelBytes<Read>);
      const TurnedPanel panel = turned<Read>(w + i * apart, n - at);
      for (size_t j = 0; j < X; ++j) sum[i][j] = add_product(sum[i][j], panel, x[j * x_stride]);
    }
  }
  for (size_t i = 0; i < W; ++i) {
    for (size_t j = 0; j < X; ++j) set(sums[i * sums_apart + j], sum[i][j]);
  }
}

template <class Read>
void stream_one(const WeightRows& w, const InputPanel* x, Lanes* sums) {
  constexpr size_t kStreams = kPanelBytes < Read >> 200 ? 4 : kPanelBytes < Read >> 140 ? 2 : 1;
  const auto* from = static_cast<const uint8_t*>(w.bytes);
  const size_t each = w.rows / kStreams;
  for (size_t i = 0; i < each; ++i) {
    stream_block<Read, kStreams, 1>(from + i * w.row_bytes, each * w.row_bytes, x, 0, w.n, sums + i, each);
  }
  for (size_t i = each * kStreams; i < w.rows; ++i) {
    stream_block<Read, 1, 1>(from + i * w.row_bytes, 0, x, 0, w.n, sums + i, 1);
  }
}

template <size_t n>
struct Count {
  constexpr size_t operator()() const { return n; }
};
template <class Read>
void stream_panels(const WeightRows& w, const InputPanel* x, size_t x_stride, size_t x_rows, Lanes* sums) {
  if (x_rows == 1) return stream_one<Read>(w, x, sums);
  const auto* from = static_cast<const uint8_t*>(w.bytes);
  for (size_t i = 0; i < w.rows; ++i, from += w.row_bytes) {
    size_t j = 0;
    const auto some = [&](auto rows) {
      for (; j + rows() <= x_rows; j += rows())
        stream_block<Read, 1, rows()>(from, 0, x + j * x_stride, x_stride, w.n, sums + i * x_rows + j, 0);
    };
    some(Count<8>{}), some(Count<4>{}), some(Count<2>{}), some(Count<1>{});
  }
}

template <class Read>
void add(Kernels& table) {
  table.stream_panels[size_t(Read::format)] = stream_panels<Read>;
}

// Turned as the weights are.
void quantize(const float* x, size_t n, InputPanel* out) {
  quantize_avx512(x, n, out);
  for (size_t at = 0; at < n; at += kPanel, ++out) {
    __m512i ordered[4], q[4];
    for (size_t i = 0; i < 4; ++i) ordered[i] = _mm512_load_si512(out->q + 64 * i);
    turn_ordered(ordered, q);
    for (size_t i = 0; i < 4; ++i) _mm512_store_si512(out->q + 64 * i, q[i]);
  }
}

}  // namespace

void override_avx512_streams(Kernels& table) {
  table.turned = true;
  table.quantize = quantize;
  each_reader([&](auto read) { add<decltype(read)>(table); });
}

}  // namespace varve

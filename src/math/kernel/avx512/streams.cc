// Weight rows straight from their bytes against inputs of 8 bits, as when tokens are generated.
#include "math/kernel/avx512/heads.h"

namespace varve {
namespace {

// Expanded blocks come out of a cache.
template <class Read>
inline constexpr bool kNear = Read::format == Format::count;

// Inputs of a panel as four rows meet them: what is the same for all rows of a format is done once.
template <class Read>
struct Inputs {
  __m512i q[4];
  __m512 scale, sum;
  explicit Inputs(const InputPanel& x) : scale(evened<Read>(_mm512_load_ps(x.scale))) {
    for (size_t v = 0; v < 4; ++v) q[v] = _mm512_load_si512(x.q + 64 * v);
    sum = _mm512_load_ps(x.sum);
    if constexpr (kCentred<Read>) sum = _mm512_mul_ps(sum, _mm512_set1_ps(Read::shape.offset));
  }
};

// Four weight rows that lie `apart` bytes from each other: four streams out of the memory are faster than
// one. The numbers of stream_block, bit by bit.
template <class Read>
void stream_four(const uint8_t* w, size_t apart, const InputPanel* x, size_t n, Lanes* sums,
                 size_t sums_apart, Ahead& ahead) {
  __m512 sum[kHeads];
  for (size_t i = 0; i < kHeads; ++i) sum[i] = get(sums[i * sums_apart]);
  size_t at = 0;
  for (; at + kPanel <= n; at += kPanel, w += kPanelBytes<Read>, ++x) {
    const Inputs<Read> inputs(*x);
    const Heads<Read> heads(w, apart);
    const size_t far = ahead(kPanelBytes<Read>);
    for (size_t i = 0; i < kHeads; ++i) {
      if (!kNear<Read>) fetch<3>(w + i * apart + far, kPanelBytes<Read>);
      const TurnedCodes codes = Turned<Read>::codes(w + i * apart);
      const Scales scales = heads.of(i);
      __m512i dots = _mm512_setzero_si512();
      for (size_t v = 0; v < 4; ++v) dots = _mm512_dpbusd_epi32(dots, codes.q[v], inputs.q[v]);
      sum[i] = _mm512_fnmadd_ps(scales.min, inputs.sum, sum[i]);
      sum[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(scales.scale, inputs.scale), sum[i]);
    }
  }
  for (size_t i = 0; i < kHeads; ++i) {
    if (at < n) sum[i] = add_product(sum[i], turned_part<Read>(w + i * apart, n - at), *x);
    set(sums[i * sums_apart], sum[i]);
  }
}

// Four weight rows by some inputs, a panel at a time: what is unpacked of the ones and read of the others
// serves all. The numbers of stream_four.
template <class Read>
void stream_square(const uint8_t* w, size_t row_bytes, const InputPanel* x, size_t x_stride, size_t x_rows,
                   size_t n, Lanes* sums) {
  Ahead ahead{row_bytes, (kHeads - 1) * row_bytes};
  size_t at = 0;
  for (; at + kPanel <= n; at += kPanel, w += kPanelBytes<Read>, ++x) {
    const Heads<Read> heads(w, row_bytes);
    const size_t far = ahead(kPanelBytes<Read>);
    TurnedCodes codes[kHeads];
    Scales scales[kHeads];
    for (size_t i = 0; i < kHeads; ++i) {
      if (!kNear<Read>) fetch<3>(w + i * row_bytes + far, kPanelBytes<Read>);
      codes[i] = Turned<Read>::codes(w + i * row_bytes), scales[i] = heads.of(i);
    }
    for (size_t j = 0; j < x_rows; ++j) {
      const Inputs<Read> inputs(x[j * x_stride]);
      for (size_t i = 0; i < kHeads; ++i) {
        __m512i dots = _mm512_setzero_si512();
        for (size_t v = 0; v < 4; ++v) dots = _mm512_dpbusd_epi32(dots, codes[i].q[v], inputs.q[v]);
        Lanes& sum = sums[i * x_rows + j];
        const __m512 less = _mm512_fnmadd_ps(scales[i].min, inputs.sum, get(sum));
        set(sum,
            _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(scales[i].scale, inputs.scale), less));
      }
    }
  }
  for (size_t i = 0; at < n && i < kHeads; ++i) {
    const TurnedPanel panel = turned_part<Read>(w + i * row_bytes, n - at);
    for (size_t j = 0; j < x_rows; ++j) {
      Lanes& sum = sums[i * x_rows + j];
      set(sum, add_product(get(sum), panel, x[j * x_stride]));
    }
  }
}

// A weight row by X inputs, which share what a panel became.
template <class Read, size_t X>
void stream_block(const uint8_t* w, const InputPanel* x, size_t x_stride, size_t n, Lanes* sums) {
  __m512 sum[X];
  for (size_t j = 0; j < X; ++j) sum[j] = get(sums[j]);
  for (size_t at = 0; at < n; at += kPanel, w += kPanelBytes<Read>, ++x) {
    if (!kNear<Read>) fetch_ahead(w, kPanelBytes<Read>);
    const TurnedPanel panel = turned<Read>(w, n - at);
    for (size_t j = 0; j < X; ++j) sum[j] = add_product(sum[j], panel, x[j * x_stride]);
  }
  for (size_t j = 0; j < X; ++j) set(sums[j], sum[j]);
}

template <class Read>
void stream_one(const WeightRows& w, const InputPanel* x, Lanes* sums) {
  const auto* from = static_cast<const uint8_t*>(w.bytes);
  const size_t each = w.rows / kHeads, apart = each * w.row_bytes;
  Ahead ahead{apart, (kHeads - 1) * apart};
  for (size_t i = 0; i < each; ++i)
    stream_four<Read>(from + i * w.row_bytes, apart, x, w.n, sums + i, each, ahead);
  for (size_t i = each * kHeads; i < w.rows; ++i)
    stream_block<Read, 1>(from + i * w.row_bytes, x, 0, w.n, sums + i);
}

template <size_t n>
struct Count {
  constexpr size_t operator()() const { return n; }
};
template <class Read>
void stream_panels(const WeightRows& w, const InputPanel* x, size_t x_stride, size_t x_rows, Lanes* sums) {
  if (x_rows == 1) return stream_one<Read>(w, x, sums);
  const auto* from = static_cast<const uint8_t*>(w.bytes);
  size_t i = 0;
  for (; i + kHeads <= w.rows; i += kHeads, from += kHeads * w.row_bytes)
    stream_square<Read>(from, w.row_bytes, x, x_stride, x_rows, w.n, sums + i * x_rows);
  for (; i < w.rows; ++i, from += w.row_bytes) {
    size_t j = 0;
    const auto some = [&](auto rows) {
      for (; j + rows() <= x_rows; j += rows())
        stream_block<Read, rows()>(from, x + j * x_stride, x_stride, w.n, sums + i * x_rows + j);
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

void expanded_streams_avx512(SideKernels& table) {
  table.stream_expanded = stream_panels<OfExpanded>;
}
void override_avx512_streams(Kernels& table) {
  table.turned = true;
  table.quantize = quantize;
  each_reader([&](auto read) { add<decltype(read)>(table); });
}

}  // namespace varve

// Blocks into floats, and rows of them into sums.
#include "math/kernel/avx512/plain.h"

namespace varve {
namespace {

// ---- blocks: whole rows

template <class Read>
void decode(const void* bytes, size_t values, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += kPanel, from += kPanelBytes<Read>) {
    const size_t n = values - at < kPanel ? values - at : kPanel;
    WeightPanel panel;
    fetch_ahead(from, kPanelBytes<Read>);
    Read::panel(from, n, panel);
    for (size_t i = 0; i < n / 16; ++i) _mm512_storeu_ps(out + at + 16 * i, expand<Read>(panel, i));
  }
}

// W rows at once: a sum is one chain of additions here, and W of them hide its latency. Each fetches what the
// next W rows will need.
template <class Read, size_t W>
void stream_rows(const uint8_t* w, size_t w_bytes, const float* x, size_t n, Lanes* sums) {
  __m512 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i]);
  for (size_t at = 0; at < n; at += kPanel, w += kPanelBytes<Read>) {
    const size_t width = n - at < kPanel ? n - at : kPanel;
    WeightPanel panel[W];
    for (size_t i = 0; i < W; ++i) {
      fetch<2>(w + (i + W) * w_bytes, kPanelBytes<Read>);
      Read::panel(w + i * w_bytes, width, panel[i]);
    }
    for (size_t group = 0; group < width / 16; ++group) {
      const __m512 from_x = _mm512_loadu_ps(x + at + 16 * group);
      for (size_t i = 0; i < W; ++i) {
        sum[i] = _mm512_fmadd_ps(expand<Read>(panel[i], group), from_x, sum[i]);
      }
    }
  }
  for (size_t i = 0; i < W; ++i) set(sums[i], sum[i]);
}
template <class Read>
void stream_f32(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  const auto* from = static_cast<const uint8_t*>(w);
  size_t i = 0;
  for (; i + 8 <= w_rows; i += 8) stream_rows<Read, 8>(from + i * w_bytes, w_bytes, x, n, sums + i);
  for (; i < w_rows; ++i) stream_rows<Read, 1>(from + i * w_bytes, w_bytes, x, n, sums + i);
}

// ---- plain numbers

template <class Plain>
void decode_plain(const void* bytes, size_t n, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t i = 0; i < n; i += 16) {
    fetch_ahead(from + Plain::bytes * i, 1);
    _mm512_mask_storeu_ps(out + i, up_to(n - i), Plain::load(from + Plain::bytes * i, up_to(n - i)));
  }
}

// W rows that lie `apart` bytes from each other, a line of each at a time.
template <class Plain, size_t W>
void stream_plain_rows(const uint8_t* w, size_t apart, const float* x, size_t n, Lanes* sums,
                       size_t sums_apart, Ahead& ahead) {
  constexpr size_t kLine = 64, kStep = kLine / Plain::bytes;
  __m512 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i * sums_apart]);
  size_t at = 0;
  for (; at + kStep <= n; at += kStep, w += kLine) {
    const size_t far = ahead(kLine);
    for (size_t i = 0; i < W; ++i) fetch<3>(w + i * apart + far, 1);
    for (size_t k = 0; k < kStep; k += 16) {
      const __m512 from_x = _mm512_loadu_ps(x + at + k);
      for (size_t i = 0; i < W; ++i)
        sum[i] = _mm512_fmadd_ps(Plain::load(w + i * apart + Plain::bytes * k), from_x, sum[i]);
    }
  }
  for (; at < n; at += 16, w += 16 * Plain::bytes) {
    const __mmask16 mask = up_to(n - at);
    const __m512 from_x = _mm512_maskz_loadu_ps(mask, x + at);
    for (size_t i = 0; i < W; ++i) sum[i] = _mm512_fmadd_ps(Plain::load(w + i * apart, mask), from_x, sum[i]);
  }
  for (size_t i = 0; i < W; ++i) set(sums[i * sums_apart], sum[i]);
}
template <class Plain>
void stream_plain(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  constexpr size_t kStreams = 4;  // out of the memory: faster than one, and than eight
  const auto* from = static_cast<const uint8_t*>(w);
  const size_t each = w_rows / kStreams, apart = each * w_bytes;
  Ahead ahead{apart, (kStreams - 1) * apart};
  for (size_t i = 0; i < each; ++i)
    stream_plain_rows<Plain, kStreams>(from + i * w_bytes, apart, x, n, sums + i, each, ahead);
  for (size_t i = each * kStreams; i < w_rows; ++i)
    stream_plain_rows<Plain, 1>(from + i * w_bytes, 0, x, n, sums + i, 1, ahead);
}

void encode_f16(const float* x, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; i += 16) {
    const __m512 v = _mm512_maskz_loadu_ps(up_to(n - i), x + i);
    _mm256_mask_storeu_epi16(out + i, up_to(n - i), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
}

template <class Read>
void add(Kernels& table) {
  table.decode[size_t(Read::format)] = decode<Read>;
  table.stream_f32[size_t(Read::format)] = stream_f32<Read>;
}

}  // namespace

void override_avx512_formats(Kernels& table) {
  table.decode[size_t(Format::f16)] = decode_plain<PlainF16>;
  table.decode[size_t(Format::bf16)] = decode_plain<PlainBf16>;
  table.stream_f32[size_t(Format::f32)] = stream_plain<PlainF32>;
  table.stream_f32[size_t(Format::f16)] = stream_plain<PlainF16>;
  table.stream_f32[size_t(Format::bf16)] = stream_plain<PlainBf16>;
  table.encode_f16 = encode_f16;
  each_reader([&](auto read) { add<decltype(read)>(table); });
}

}  // namespace varve

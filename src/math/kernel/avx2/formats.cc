// Blocks into floats, and rows of them into sums.
#include "math/kernel/avx2/plain.h"

namespace varve {
namespace {

// Values 8 part .. 8 part + 7 as floats.
template <class Read>
__m256 expand(const WeightPanel& panel, size_t part) {
  constexpr int offset = Read::shape.offset;
  __m256i q = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(panel.q + 8 * part)));
  if constexpr (offset >= 0) q = _mm256_sub_epi32(q, _mm256_set1_epi32(offset));
  const __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(panel.scale[part / 2]));
  return offset >= 0 ? value : _mm256_sub_ps(value, _mm256_set1_ps(panel.min[part / 2]));
}

template <class Read>
void decode(const void* bytes, size_t values, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (size_t at = 0; at < values; at += kPanel, from += kPanelBytes<Read>) {
    const size_t n = values - at < kPanel ? values - at : kPanel;
    WeightPanel panel;
    fetch_ahead(from, kPanelBytes<Read>);
    Read::panel(from, n, panel);
    for (size_t i = 0; i < n / 8; ++i) _mm256_storeu_ps(out + at + 8 * i, expand<Read>(panel, i));
  }
}

// The product of two panels, 8 partial sums, made apart from the sum of the row, so that a long row is not
// one chain of dependent additions. quants(i): 32 of the weights'.
template <class Read, class Quants>
[[gnu::always_inline]] inline __m256 panel_product(const WeightPanel& w, const Quants& quants,
                                                   const InputPanel& x) {
  __m256 scale[2], sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (size_t i = 0; i < 2; ++i) {
    const __m256 own = _mm256_load_ps(w.scale + 8 * i);
    scale[i] = _mm256_mul_ps(own, _mm256_load_ps(x.scale + 8 * i));
    if constexpr (!kMins<Read>) continue;
    __m256 min = _mm256_load_ps(w.min + 8 * i);
    if (kSigned<Read>) min = _mm256_fnmadd_ps(own, _mm256_set1_ps(128), min);
    sum[i] = _mm256_fnmadd_ps(min, _mm256_load_ps(x.sum + 8 * i), sum[i]);
  }
  const __m256i pair = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), two = _mm256_set1_epi32(2);
  __m256i which = pair;
  for (size_t i = 0; i < 8; ++i) {
    __m256i q = quants(i);
    if (kSigned<Read>) q = _mm256_xor_si256(q, all(-128));
    const auto* of_x = reinterpret_cast<const __m256i*>(x.q + 32 * i);
    const __m256i dots = _mm256_madd_epi16(products<Read>(q, _mm256_load_si256(of_x)), _mm256_set1_epi16(1));
    const __m256 both = _mm256_permutevar8x32_ps(scale[i / 4], which);
    which = i == 3 ? pair : _mm256_add_epi32(which, two);
    sum[i % 2] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), both, sum[i % 2]);
  }
  return _mm256_add_ps(sum[0], sum[1]);
}

template <class Read>
void stream_panel(const uint8_t* from, size_t values, const InputPanel* x, size_t x_stride, size_t x_rows,
                  Lanes* sums) {
  WeightPanel panel;
  const auto add_to = [&](size_t j, const auto& quants) {
    set(sums[j], _mm256_add_ps(get(sums[j]), panel_product<Read>(panel, quants, x[j * x_stride])));
  };
  if constexpr (Read::shape.values == 32) {
    if (x_rows == 1 && values == kPanel) {  // what is used once need not be stored
      Read::scales(from, panel);
      return add_to(0, [&](size_t i) { return Read::quants(from, i); });
    }
  }
  Read::panel(from, values, panel);
  for (size_t j = 0; j < x_rows; ++j) add_to(j, [&](size_t i) { return load256(panel.q + 32 * i); });
}
template <class Read>
void stream_panels(const WeightRows& w, const InputPanel* x, size_t x_stride, size_t x_rows, Lanes* sums) {
  for (size_t i = 0; i < w.rows; ++i, sums += x_rows) {
    const auto* from = static_cast<const uint8_t*>(w.bytes) + i * w.row_bytes;
    for (size_t at = 0; at < w.n; at += kPanel, from += kPanelBytes<Read>) {
      fetch_ahead(from, kPanelBytes<Read>);
      const size_t values = w.n - at < kPanel ? w.n - at : kPanel;
      stream_panel<Read>(from, values, x + at / kPanel, x_stride, x_rows, sums);
    }
  }
}

// W rows at once: a sum is one chain of additions here, and W of them hide its latency. Each fetches what the
// next W rows will need.
template <class Read, size_t W>
void stream_rows(const uint8_t* w, size_t w_bytes, const float* x, size_t n, Lanes* sums) {
  __m256 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i]);
  for (size_t at = 0; at < n; at += kPanel, w += kPanelBytes<Read>) {
    const size_t width = n - at < kPanel ? n - at : kPanel;
    WeightPanel panel[W];
    for (size_t i = 0; i < W; ++i) {
      fetch<2>(w + (i + W) * w_bytes, kPanelBytes<Read>);
      Read::panel(w + i * w_bytes, width, panel[i]);
    }
    for (size_t part = 0; part < width / 8; ++part) {
      const __m256 from_x = _mm256_loadu_ps(x + at + 8 * part);
      for (size_t i = 0; i < W; ++i) {
        sum[i] = _mm256_fmadd_ps(expand<Read>(panel[i], part), from_x, sum[i]);
      }
    }
  }
  for (size_t i = 0; i < W; ++i) set(sums[i], sum[i]);
}
template <class Read>
void stream_f32(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  const auto* from = static_cast<const uint8_t*>(w);
  size_t i = 0;
  for (; i + 4 <= w_rows; i += 4) stream_rows<Read, 4>(from + i * w_bytes, w_bytes, x, n, sums + i);
  for (; i < w_rows; ++i) stream_rows<Read, 1>(from + i * w_bytes, w_bytes, x, n, sums + i);
}

// ---- plain numbers

template <class Plain>
void decode_plain(const void* bytes, size_t n, float* out) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    fetch_ahead(from + Plain::bytes * i, 1);
    _mm256_storeu_ps(out + i, Plain::load(from + Plain::bytes * i));
  }
  if (i < n) _mm256_maskstore_ps(out + i, up_to(n - i), load_part<Plain>(from + Plain::bytes * i, n - i));
}

template <class Plain, size_t W>
void stream_plain_rows(const uint8_t* w, size_t w_bytes, const float* x, size_t n, Lanes* sums) {
  __m256 sum[W];
  for (size_t i = 0; i < W; ++i) sum[i] = get(sums[i]);
  size_t at = 0;
  for (; at + 8 <= n; at += 8) {
    const __m256 from_x = _mm256_loadu_ps(x + at);
    for (size_t i = 0; i < W; ++i) {
      const uint8_t* from = w + i * w_bytes + Plain::bytes * at;
      fetch<2>(from + W * w_bytes, 1);
      sum[i] = _mm256_fmadd_ps(Plain::load(from), from_x, sum[i]);
    }
  }
  const __m256 rest_of_x = _mm256_maskload_ps(x + at, up_to(n - at));
  for (size_t i = 0; i < W; ++i) {
    const __m256 rest = load_part<Plain>(w + i * w_bytes + Plain::bytes * at, n - at);
    set(sums[i], at < n ? _mm256_fmadd_ps(rest, rest_of_x, sum[i]) : sum[i]);
  }
}
template <class Plain>
void stream_plain(const void* w, size_t w_bytes, size_t w_rows, const float* x, size_t n, Lanes* sums) {
  const auto* from = static_cast<const uint8_t*>(w);
  size_t i = 0;
  for (; i + 4 <= w_rows; i += 4) stream_plain_rows<Plain, 4>(from + i * w_bytes, w_bytes, x, n, sums + i);
  for (; i < w_rows; ++i) stream_plain_rows<Plain, 1>(from + i * w_bytes, w_bytes, x, n, sums + i);
}

void encode_f16(const float* x, size_t n, uint16_t* out) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < n; ++i) {
    out[i] = uint16_t(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x[i]), _MM_FROUND_TO_NEAREST_INT)));
  }
}

template <class Read>
void add(Kernels& table) {
  table.decode[size_t(Read::format)] = decode<Read>;
  table.stream_f32[size_t(Read::format)] = stream_f32<Read>;
  table.stream_panels[size_t(Read::format)] = stream_panels<Read>;
}

}  // namespace

void expanded_streams_avx2(SideKernels& table) {
  table.stream_expanded = stream_panels<OfExpanded>;
}
void override_avx2_formats(Kernels& table) {
  table.decode[size_t(Format::f16)] = decode_plain<PlainF16>;
  table.decode[size_t(Format::bf16)] = decode_plain<PlainBf16>;
  table.stream_f32[size_t(Format::f32)] = stream_plain<PlainF32>;
  table.stream_f32[size_t(Format::f16)] = stream_plain<PlainF16>;
  table.stream_f32[size_t(Format::bf16)] = stream_plain<PlainBf16>;
  table.encode_f16 = encode_f16;
  each_reader([&](auto read) { add<decltype(read)>(table); });
}

}  // namespace varve

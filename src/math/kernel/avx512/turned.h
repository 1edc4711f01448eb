// Panels as products of 8 bits want them: a lane for each group of 16 values, which are 4 bytes in each of 4
// registers. Four products then add up to the group's whole sum, which is scaled once. Codes in the upper
// bits of a byte may stay there: the group's scale makes up for it. Internal linkage, as in lanes.h.
#pragma once

#include "math/kernel/avx512/readers.h"

namespace varve {
namespace {

struct TurnedPanel {
  __m512i q[4];
  __m512 scale, min;
};

struct alignas(64) Each {  // a number for each lane
  uint32_t lane[16];
  __m512i get() const { return _mm512_load_si512(lane); }
};
template <class Of>
constexpr Each each(Of of) {
  Each all{};
  for (uint32_t i = 0; i < 16; ++i) all.lane[i] = of(i);
  return all;
}
constexpr uint32_t in_bytes(uint32_t value) {
  return value * 0x01010101u;
}
// 1 / 4^n as a float's bits.
constexpr uint32_t quartered(uint32_t n) {
  return (127 - 2 * n) << 23;
}
__m512 shrunk(__m512 scale, const Each& factors) {
  return _mm512_mul_ps(scale, _mm512_castsi512_ps(factors.get()));
}
__m512i register_at(const Each& at, uint32_t v) {  // that of register 0, and what register v takes
  return _mm512_add_epi32(at.get(), _mm512_set1_epi32(int(v)));
}

// Values in their order, 64 in each of four registers.
void turn_ordered(const __m512i* from, __m512i* q) {
  static constexpr Each kAt = each([](uint32_t lane) { return 4 * (lane % 8); });
  for (uint32_t v = 0; v < 4; ++v) {
    const __m512i at = register_at(kAt, v);
    q[v] = _mm512_mask_blend_epi32(0xff00, _mm512_permutex2var_epi32(from[0], at, from[1]),
                                   _mm512_permutex2var_epi32(from[2], at, from[3]));
  }
}

// What every reader can: through a panel in order.
template <class Read>
struct Turned {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    WeightPanel panel;
    Read::panel(from, kPanel, panel);
    __m512i ordered[4];
    for (size_t i = 0; i < 4; ++i) ordered[i] = _mm512_load_si512(panel.q + 64 * i);
    TurnedPanel out;
    turn_ordered(ordered, out.q);
    out.scale = _mm512_load_ps(panel.scale), out.min = _mm512_load_ps(panel.min);
    return out;
  }
};

template <>
struct Turned<Of32<ReadQ8_0>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    constexpr size_t step = sizeof(BlockQ8_0);
    __m512i ordered[4];
    for (size_t i = 0; i < 4; ++i) {
      ordered[i] = ReadQ8_0::quants(from + 2 * i * step, from + (2 * i + 1) * step);
    }
    TurnedPanel out;
    turn_ordered(ordered, out.q);
    const Scales scales = scales_of_32s<Format::q8_0>(from, 8);
    out.scale = scales.scale, out.min = scales.min;
    return out;
  }
};

// 16 bytes for 32 values: 16 in the low nibbles, then 16 in the high ones. `both`: 8 times 16 bytes.
struct NibblePairs {
  static constexpr Each kAt = each([](uint32_t lane) { return 4 * (lane / 2); });
  static constexpr Each kMask = each([](uint32_t lane) { return in_bytes(lane % 2 == 0 ? 0x0f : 0xf0); });
  static constexpr Each kShift = each([](uint32_t lane) { return lane % 2 * 4; });
  static constexpr Each kFactor = each([](uint32_t lane) { return quartered(lane % 2 * 2); });

  static void codes(const __m512i* both, __m512i* q) {
    for (uint32_t v = 0; v < 4; ++v) {
      q[v] = _mm512_and_si512(_mm512_permutex2var_epi32(both[0], register_at(kAt, v), both[1]), kMask.get());
    }
  }
  static void levels(const __m512i* both, __m512i* q) {
    const __m512i levels = _mm512_broadcast_i32x4(load128(kIq4Levels));
    for (uint32_t v = 0; v < 4; ++v) {
      const __m512i bytes = _mm512_permutex2var_epi32(both[0], register_at(kAt, v), both[1]);
      q[v] = _mm512_shuffle_epi8(
          levels, _mm512_and_si512(_mm512_srlv_epi32(bytes, kShift.get()), _mm512_set1_epi8(15)));
    }
  }
  template <size_t step>
  static void load(const uint8_t* from, __m512i* both) {
    for (size_t i = 0; i < 2; ++i, from += 4 * step) {
      const __m512i one = _mm512_castsi128_si512(load128(from));
      const __m512i two = _mm512_mask_broadcast_i32x4(one, 0x00f0, load128(from + step));
      const __m512i three = _mm512_mask_broadcast_i32x4(two, 0x0f00, load128(from + 2 * step));
      both[i] = _mm512_mask_broadcast_i32x4(three, 0xf000, load128(from + 3 * step));
    }
  }
};
template <class Read>
requires(Read::format == Format::q4_0 || Read::format == Format::q4_1 ||
         Read::format == Format::iq4_nl) struct Turned<Of32<Read>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    constexpr size_t step = kShapes[size_t(Read::format)].bytes;
    __m512i both[2];
    NibblePairs::load<step>(from + step - 16, both);
    const Scales scales = scales_of_32s<Read::format>(from, 8);
    TurnedPanel out;
    out.min = scales.min;
    if constexpr (Read::format == Format::iq4_nl) {
      NibblePairs::levels(both, out.q);
      out.scale = scales.scale;
    } else {
      NibblePairs::codes(both, out.q);
      out.scale = shrunk(scales.scale, NibblePairs::kFactor);
    }
    return out;
  }
};
template <>
struct Turned<Of256<ReadIq4Xs>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    const uint8_t* bytes = from + offsetof(BlockIq4Xs, q);
    const __m512i both[2] = {_mm512_loadu_si512(bytes), _mm512_loadu_si512(bytes + 64)};
    const Scales scales = ReadIq4Xs::scales(from);
    TurnedPanel out;
    NibblePairs::levels(both, out.q);
    out.scale = scales.scale, out.min = scales.min;
    return out;
  }
};

// A bit more for each value: bit i / 32 of byte i % 32. It counts `value`.
struct HighBits {
  static constexpr Each kAt = each([](uint32_t lane) { return lane % 2 * 4; });
  static constexpr Each kBit = each([](uint32_t lane) { return in_bytes(1u << lane / 2); });
  static __m512i add(__m512i codes, __m512i bits, uint32_t v, char value) {
    const __m512i own = _mm512_permutexvar_epi32(register_at(kAt, v), bits);
    return _mm512_mask_add_epi8(codes, _mm512_test_epi8_mask(own, kBit.get()), codes,
                                _mm512_set1_epi8(value));
  }
};

// 32 bytes for 64 values: 32 in the low nibbles, then 32 in the high ones.
struct NibblesBy32 {
  static constexpr Each kAt = each([](uint32_t lane) { return lane / 4 * 8 + lane % 2 * 4; });
  static constexpr Each kMask = each([](uint32_t lane) { return in_bytes(lane % 4 < 2 ? 0x0f : 0xf0); });
  static constexpr Each kShift = each([](uint32_t lane) { return lane % 4 / 2 * 4; });
  static constexpr Each kFactor = each([](uint32_t lane) { return quartered(lane % 4 / 2 * 2); });
};
template <>
struct Turned<Of256<ReadQ4K>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    const uint8_t* bytes = from + offsetof(BlockQ4K, q);
    const __m512i low = _mm512_loadu_si512(bytes), high = _mm512_loadu_si512(bytes + 64);
    TurnedPanel out;
    for (uint32_t v = 0; v < 4; ++v) {
      out.q[v] = _mm512_and_si512(_mm512_permutex2var_epi32(low, register_at(NibblesBy32::kAt, v), high),
                                  NibblesBy32::kMask.get());
    }
    const Scales scales = ReadQ4K::scales(from);
    out.scale = shrunk(scales.scale, NibblesBy32::kFactor), out.min = scales.min;
    return out;
  }
};
template <>
struct Turned<Of256<ReadQ5K>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    const uint8_t* bytes = from + offsetof(BlockQ5K, q);
    const __m512i low = _mm512_loadu_si512(bytes), high = _mm512_loadu_si512(bytes + 64);
    const __m512i fifth = twice(load256(from + offsetof(BlockQ5K, high)));
    TurnedPanel out;
    for (uint32_t v = 0; v < 4; ++v) {
      const __m512i both = _mm512_permutex2var_epi32(low, register_at(NibblesBy32::kAt, v), high);
      const __m512i four =
          _mm512_and_si512(_mm512_srlv_epi32(both, NibblesBy32::kShift.get()), _mm512_set1_epi8(15));
      out.q[v] = HighBits::add(four, fifth, v, 16);
    }
    const Scales scales = ReadQ5K::scales(from);
    out.scale = scales.scale, out.min = scales.min;
    return out;
  }
};

// Halves of 128 values, in each of which 32 bytes hold a value of each 32 in two bits.
struct TwoBits {
  static constexpr Each kAt = each([](uint32_t lane) { return lane / 8 * 8 + lane % 2 * 4; });
  static constexpr Each kMask = each([](uint32_t lane) { return in_bytes(3u << lane / 2 % 4 * 2); });
  static constexpr Each kShift = each([](uint32_t lane) { return lane / 2 % 4 * 2; });
  static constexpr Each kFactor = each([](uint32_t lane) { return quartered(lane / 2 % 4); });

  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* bytes, const Scales& scales) {
    const __m512i all = _mm512_loadu_si512(bytes);
    TurnedPanel out;
    for (uint32_t v = 0; v < 4; ++v) {
      out.q[v] = _mm512_and_si512(_mm512_permutexvar_epi32(register_at(kAt, v), all), kMask.get());
    }
    out.scale = shrunk(scales.scale, kFactor), out.min = scales.min;
    return out;
  }
};
template <>
struct Turned<Of256<ReadQ2K>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    return TwoBits::read(from + offsetof(BlockQ2K, q), ReadQ2K::scales(from));
  }
};
template <>
struct Turned<Of256<ReadTq2>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    return TwoBits::read(from, ReadTq2::scales(from));
  }
};
template <>
struct Turned<Of256<ReadQ3K>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    const __m512i all = _mm512_loadu_si512(from + offsetof(BlockQ3K, q));
    const __m512i third = twice(load256(from + offsetof(BlockQ3K, high)));
    TurnedPanel out;
    for (uint32_t v = 0; v < 4; ++v) {
      const __m512i bytes = _mm512_permutexvar_epi32(register_at(TwoBits::kAt, v), all);
      const __m512i two =
          _mm512_and_si512(_mm512_srlv_epi32(bytes, TwoBits::kShift.get()), _mm512_set1_epi8(3));
      out.q[v] = HighBits::add(two, third, v, 4);
    }
    const Scales scales = ReadQ3K::scales(from);
    out.scale = scales.scale, out.min = scales.min;
    return out;
  }
};
// Halves of 128 values: 64 bytes for their low nibbles, 32 for two bits above.
template <>
struct Turned<Of256<ReadQ6K>> {
  [[gnu::always_inline]] static TurnedPanel read(const uint8_t* from) {
    static constexpr Each kAt =
        each([](uint32_t lane) { return lane / 8 * 16 + lane / 2 % 2 * 8 + lane % 2 * 4; });
    static constexpr Each kShift = each([](uint32_t lane) { return lane / 4 % 2 * 4; });
    static constexpr Each kTurn = each([](uint32_t lane) { return (36 - lane / 2 % 4 * 2) % 32; });
    const uint8_t* bytes = from + offsetof(BlockQ6K, low);
    const __m512i first = _mm512_loadu_si512(bytes), second = _mm512_loadu_si512(bytes + 64);
    const __m512i above = _mm512_loadu_si512(from + offsetof(BlockQ6K, high));
    TurnedPanel out;
    for (uint32_t v = 0; v < 4; ++v) {
      const __m512i nibbles =
          _mm512_srlv_epi32(_mm512_permutex2var_epi32(first, register_at(kAt, v), second), kShift.get());
      const __m512i two =
          _mm512_rolv_epi32(_mm512_permutexvar_epi32(register_at(TwoBits::kAt, v), above), kTurn.get());
      constexpr int kOrAnd = 0xf8;  // a | (b & c)
      out.q[v] = _mm512_ternarylogic_epi64(_mm512_and_si512(nibbles, _mm512_set1_epi8(15)), two,
                                           _mm512_set1_epi8(0x30), kOrAnd);
    }
    const Scales scales = ReadQ6K::scales(from);
    out.scale = scales.scale, out.min = scales.min;
    return out;
  }
};

// The first blocks of a panel that are there, the rest as if they were 0.
template <class Read>
[[gnu::noinline]] TurnedPanel turned_part(const uint8_t* from, size_t values) {
  constexpr FormatShape shape = kShapes[size_t(Read::format)];
  alignas(64) uint8_t whole[kPanelBytes<Read>] = {};
  __builtin_memcpy(whole, from, values / shape.values * shape.bytes);
  return Turned<Read>::read(whole);
}
template <class Read>
[[gnu::always_inline]] inline TurnedPanel turned(const uint8_t* from, size_t values) {
  return values >= kPanel ? Turned<Read>::read(from) : turned_part<Read>(from, values);
}

inline __m512 add_product(__m512 sum, const TurnedPanel& w, const InputPanel& x) {
  __m512i dots = _mm512_setzero_si512();
  for (size_t v = 0; v < 4; ++v) dots = _mm512_dpbusd_epi32(dots, w.q[v], _mm512_load_si512(x.q + 64 * v));
  sum = _mm512_fnmadd_ps(w.min, _mm512_load_ps(x.sum), sum);
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(w.scale, _mm512_load_ps(x.scale)), sum);
}

}  // namespace
}  // namespace varve

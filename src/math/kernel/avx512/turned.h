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
struct TurnedCodes {
  __m512i q[4];
};

struct alignas(64) Each {  // a number for each lane
  uint32_t lane[16];
  __m512i get() const { return _mm512_load_si512(lane); }
  __m512 floats() const { return _mm512_load_ps(lane); }
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
constexpr Each kSame = each([](uint32_t) { return quartered(0); });
constexpr bool same(const Each& factors) {
  for (uint32_t lane : factors.lane) {
    if (lane != quartered(0)) return false;
  }
  return true;
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

// The codes of a panel, and what a lane's scale has to be multiplied with. What every reader can: through a
// panel in order.
template <class Read>
struct Turned {
  static constexpr Each kFactor = kSame;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    WeightPanel panel;
    Read::panel(from, kPanel, panel);
    __m512i ordered[4];
    for (size_t i = 0; i < 4; ++i) ordered[i] = _mm512_load_si512(panel.q + 64 * i);
    TurnedCodes out;
    turn_ordered(ordered, out.q);
    return out;
  }
};

template <>
struct Turned<Of32<ReadQ8_0>> {
  static constexpr Each kFactor = kSame;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    constexpr size_t step = sizeof(BlockQ8_0);
    __m512i ordered[4];
    for (size_t i = 0; i < 4; ++i) {
      ordered[i] = ReadQ8_0::quants(from + 2 * i * step, from + (2 * i + 1) * step);
    }
    TurnedCodes out;
    turn_ordered(ordered, out.q);
    return out;
  }
};

template <>
struct Turned<OfExpanded> {
  static constexpr Each kFactor = kSame;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    __m512i ordered[4];
    for (size_t i = 0; i < 4; ++i) ordered[i] = _mm512_loadu_si512(from + 64 * i);
    TurnedCodes out;
    turn_ordered(ordered, out.q);
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
  static constexpr bool levels = Read::format == Format::iq4_nl;
  static constexpr Each kFactor = levels ? kSame : NibblePairs::kFactor;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    constexpr size_t step = kShapes[size_t(Read::format)].bytes;
    __m512i both[2];
    NibblePairs::load<step>(from + step - 16, both);
    TurnedCodes out;
    (levels ? NibblePairs::levels : NibblePairs::codes)(both, out.q);
    return out;
  }
};
template <>
struct Turned<Of256<ReadIq4Xs>> {
  static constexpr Each kFactor = kSame;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    const uint8_t* bytes = from + offsetof(BlockIq4Xs, q);
    const __m512i both[2] = {_mm512_loadu_si512(bytes), _mm512_loadu_si512(bytes + 64)};
    TurnedCodes out;
    NibblePairs::levels(both, out.q);
    return out;
  }
};

// The lower bits of one, the upper ones of the other.
template <int bits>
__m512i low_bits(__m512i of, __m512i above) {
  constexpr int kChoose = 0xe4;  // c ? a : b
  return _mm512_ternarylogic_epi64(of, above, _mm512_set1_epi8((1 << bits) - 1), kChoose);
}

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
  static constexpr Each kFactor = NibblesBy32::kFactor;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    const uint8_t* bytes = from + offsetof(BlockQ4K, q);
    const __m512i low = _mm512_loadu_si512(bytes), high = _mm512_loadu_si512(bytes + 64);
    TurnedCodes out;
    for (uint32_t v = 0; v < 4; ++v) {
      out.q[v] = _mm512_and_si512(_mm512_permutex2var_epi32(low, register_at(NibblesBy32::kAt, v), high),
                                  NibblesBy32::kMask.get());
    }
    return out;
  }
};
template <>
struct Turned<Of256<ReadQ5K>> {
  static constexpr Each kFactor = kSame;
  // Bit i / 32 of byte i % 32. Two bits four apart are taken at once: one becomes bit 4, the other one of the
  // four below, and nothing is left above.
  static constexpr Each kFirst = each([](uint32_t lane) { return in_bytes(lane < 8 ? 0x11 : 0x22); });
  static constexpr Each kSecond = each([](uint32_t lane) { return in_bytes(lane < 8 ? 0x44 : 0x88); });
  static constexpr Each kAt = each([](uint32_t lane) { return lane / 2 % 4 * 8 + lane % 2 * 4; });
  static constexpr Each kTurn = each([](uint32_t lane) { return (36 - lane / 2 % 4 - lane / 8 * 4) % 32; });
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    const uint8_t* bytes = from + offsetof(BlockQ5K, q);
    const __m512i low = _mm512_loadu_si512(bytes), high = _mm512_loadu_si512(bytes + 64);
    const __m512i fifths = twice(load256(from + offsetof(BlockQ5K, high)));
    const __m512i first = _mm512_and_si512(fifths, kFirst.get());
    const __m512i second = _mm512_and_si512(fifths, kSecond.get());
    TurnedCodes out;
    for (uint32_t v = 0; v < 4; ++v) {
      const __m512i both = _mm512_permutex2var_epi32(low, register_at(NibblesBy32::kAt, v), high);
      const __m512i own = _mm512_permutex2var_epi32(first, register_at(kAt, v), second);
      out.q[v] = low_bits<4>(_mm512_srlv_epi32(both, NibblesBy32::kShift.get()),
                             _mm512_rolv_epi32(own, kTurn.get()));
    }
    return out;
  }
};

// Halves of 128 values, in each of which 32 bytes hold a value of each 32 in two bits.
struct TwoBits {
  static constexpr Each kAt = each([](uint32_t lane) { return lane / 8 * 8 + lane % 2 * 4; });
  static constexpr Each kMask = each([](uint32_t lane) { return in_bytes(3u << lane / 2 % 4 * 2); });
  static constexpr Each kShift = each([](uint32_t lane) { return lane / 2 % 4 * 2; });
  static constexpr Each kFactor = each([](uint32_t lane) { return quartered(lane / 2 % 4); });

  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* bytes) {
    const __m512i all = _mm512_loadu_si512(bytes);
    TurnedCodes out;
    for (uint32_t v = 0; v < 4; ++v) {
      out.q[v] = _mm512_and_si512(_mm512_permutexvar_epi32(register_at(kAt, v), all), kMask.get());
    }
    return out;
  }
};
template <>
struct Turned<Of256<ReadQ2K>> {
  static constexpr Each kFactor = TwoBits::kFactor;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    return TwoBits::codes(from + offsetof(BlockQ2K, q));
  }
};
template <>
struct Turned<Of256<ReadTq2>> {
  static constexpr Each kFactor = TwoBits::kFactor;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) { return TwoBits::codes(from); }
};
template <>
struct Turned<Of256<ReadQ3K>> {
  static constexpr Each kFactor = kSame;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    const __m512i all = _mm512_loadu_si512(from + offsetof(BlockQ3K, q));
    const __m512i third = twice(load256(from + offsetof(BlockQ3K, high)));
    TurnedCodes out;
    for (uint32_t v = 0; v < 4; ++v) {
      const __m512i bytes = _mm512_permutexvar_epi32(register_at(TwoBits::kAt, v), all);
      const __m512i two =
          _mm512_and_si512(_mm512_srlv_epi32(bytes, TwoBits::kShift.get()), _mm512_set1_epi8(3));
      out.q[v] = HighBits::add(two, third, v, 4);
    }
    return out;
  }
};
// Halves of 128 values: 64 bytes for their low nibbles, 32 for two bits above.
template <>
struct Turned<Of256<ReadQ6K>> {
  static constexpr Each kFactor = kSame;
  [[gnu::always_inline]] static TurnedCodes codes(const uint8_t* from) {
    static constexpr Each kAt =
        each([](uint32_t lane) { return lane / 8 * 16 + lane / 2 % 2 * 8 + lane % 2 * 4; });
    static constexpr Each kShift = each([](uint32_t lane) { return lane / 4 % 2 * 4; });
    static constexpr Each kAbove =
        each([](uint32_t lane) { return lane / 2 % 2 * 16 + lane / 8 * 8 + lane % 2 * 4; });
    static constexpr Each kTurn = each([](uint32_t lane) { return (36 - lane / 2 % 4 * 2) % 32; });
    const uint8_t* bytes = from + offsetof(BlockQ6K, low);
    const __m512i first = _mm512_loadu_si512(bytes), second = _mm512_loadu_si512(bytes + 64);
    // Every second pair of bits: turned into its place, nothing is left above.
    const __m512i above = _mm512_loadu_si512(from + offsetof(BlockQ6K, high));
    const __m512i even = _mm512_and_si512(above, _mm512_set1_epi8(0x33));
    const __m512i odd = _mm512_and_si512(above, _mm512_set1_epi8(char(0xcc)));
    TurnedCodes out;
    for (uint32_t v = 0; v < 4; ++v) {
      const __m512i both = _mm512_permutex2var_epi32(first, register_at(kAt, v), second);
      const __m512i own = _mm512_permutex2var_epi32(even, register_at(kAbove, v), odd);
      out.q[v] = low_bits<4>(_mm512_srlv_epi32(both, kShift.get()), _mm512_rolv_epi32(own, kTurn.get()));
    }
    return out;
  }
};

// Scales of a whole panel.
template <class Read>
struct ScalesOf;
template <class Read>
struct ScalesOf<Of256<Read>> {
  static Scales get(const uint8_t* from) { return Read::scales(from); }
};
template <class Read>
struct ScalesOf<Of32<Read>> {
  static Scales get(const uint8_t* from) { return scales_of_32s<Read::format>(from, 8); }
};

template <>
struct ScalesOf<OfExpanded> {
  static Scales get(const uint8_t* from) { return ReadExpanded::scales(from); }
};

// `of` with what its codes still need: a power of 2, so that it may be the inputs' scale as well.
template <class Read>
__m512 evened(__m512 of) {
  if constexpr (same(Turned<Read>::kFactor)) return of;
  return _mm512_mul_ps(of, Turned<Read>::kFactor.floats());
}
template <class Read>
[[gnu::always_inline]] inline TurnedPanel turned_whole(const uint8_t* from) {
  const TurnedCodes codes = Turned<Read>::codes(from);
  const Scales scales = ScalesOf<Read>::get(from);
  return {{codes.q[0], codes.q[1], codes.q[2], codes.q[3]}, evened<Read>(scales.scale), scales.min};
}
// The first blocks of a panel that are there, the rest as if they were 0.
template <class Read>
[[gnu::noinline]] TurnedPanel turned_part(const uint8_t* from, size_t values) {
  constexpr FormatShape shape = Read::shape;
  alignas(64) uint8_t whole[kPanelBytes<Read>] = {};
  __builtin_memcpy(whole, from, values / shape.values * shape.bytes);
  return turned_whole<Read>(whole);
}
template <class Read>
[[gnu::always_inline]] inline TurnedPanel turned(const uint8_t* from, size_t values) {
  return values >= kPanel ? turned_whole<Read>(from) : turned_part<Read>(from, values);
}

inline __m512 add_product(__m512 sum, const TurnedPanel& w, const InputPanel& x) {
  __m512i dots = _mm512_setzero_si512();
  for (size_t v = 0; v < 4; ++v) dots = _mm512_dpbusd_epi32(dots, w.q[v], _mm512_load_si512(x.q + 64 * v));
  sum = _mm512_fnmadd_ps(w.min, _mm512_load_ps(x.sum), sum);
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(w.scale, _mm512_load_ps(x.scale)), sum);
}

}  // namespace
}  // namespace varve

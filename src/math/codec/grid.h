// Grid: a block format taken apart: what its blocks can hold while their scales stay. Whoever chooses scales
// or codes by other rules than the codec's own works on this and never sees a format's bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "math/codec/codec.h"
#include "math/codec/fit.h"

namespace varve {

// A block is block_values() of the codec. Value i of it, in group i / group: scale * levels[code] - min.
struct Grid {
  size_t group = 0;
  std::span<const float> levels;  // ascending
  bool mins = false;              // lines have a min; else it is 0
  int multiples = 0;              // > 0: scales and mins are so many times what a block has once, at most
  bool negative = true;           // scales and mins may be negative
  bool tied = false;              // a min is a whole number of scales, no more than there are levels

  // Before the lines of a nested block: the largest scale (by magnitude, with its sign) and min among them.
  void (*begin)(const codec::Line& largest, std::byte* block) = nullptr;
  // A group's line as near as the block can hold it; what it became.
  codec::Line (*set_line)(size_t group, const codec::Line& wanted, std::byte* block) = nullptr;
  void (*set_code)(size_t at, uint8_t code, std::byte* block) = nullptr;

  bool even = true;  // levels are 1 apart

  // > 0: each group of a block has codes of its own width, 1 to 3 bits, so many in all; `levels` are the
  // widest's.
  size_t widths = 0;
  void (*set_widths)(std::span<const uint8_t> widths, std::byte* block) = nullptr;  // before all else
  size_t (*width_of)(size_t group, const std::byte* block) = nullptr;
  Grid with_width(size_t bits) const {
    Grid narrow = *this;
    narrow.levels = levels.first(size_t(1) << bits);
    return narrow;
  }
  // Not empty: each group of a block takes its levels from one of some sets, which follow each other, all of
  // as many as `levels`.
  std::span<const float> sets;
  void (*set_choice)(size_t group, size_t set, std::byte* block) = nullptr;  // before lines
  size_t (*choice_of)(size_t group, const std::byte* block) = nullptr;
  size_t choices() const { return sets.size() / levels.size(); }
  Grid with_set(size_t which) const {
    Grid chosen = *this;
    chosen.levels = sets.subspan(which * levels.size(), levels.size());
    return chosen;
  }

  Grid of(size_t which, const std::byte* block) const {  // as this group has it
    if (!sets.empty()) return with_set(choice_of(which, block));
    return widths == 0 ? *this : with_width(width_of(which, block));
  }

  uint8_t nearest(float value) const {  // the code of the level nearest to `value`
    if (!even) return codec::nearest_level(levels, value);
    const float from = value - levels.front(), most = float(levels.size() - 1);
    return from > 0 ? uint8_t((from < most ? from : most) + 0.5f) : uint8_t(0);  // NaN is 0
  }
};

// Null: a format that has none (plain floats, tq1_0).
const Grid* grid_of(const Codec& codec);
const Grid& slim2_grid();  // with the format's own file, as the others that GGUF does not have
namespace codec {
const Grid& bitmod3_grid();
const Grid& bitmod4_grid();
const Grid& dual_grid();
const Grid& plane_grid(size_t bits);
}  // namespace codec

}  // namespace varve

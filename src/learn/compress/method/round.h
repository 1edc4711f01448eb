// Rounding to a grid by weighted squared errors: what all methods share that choose lines and codes
// themselves.
#pragma once

#include <span>

#include "math/codec/grid.h"

namespace varve {

// The line that makes sum importance (x - value)^2 small: some are tried, each refitted by least squares.
codec::Line fit_group(const Grid& grid, std::span<const float> x, std::span<const float> importance);

// Sum importance (x - value)^2, each value at the level nearest to it.
double group_error(const Grid& grid, const codec::Line& line, std::span<const float> x,
                   std::span<const float> importance);
inline uint8_t code_on(const Grid& grid, const codec::Line& line, float x) {
  return grid.nearest((x + line.min) * codec::inverse_of(line.scale));
}

// The lines of a block, written into it: what its scales are multiples of, and each group's as the block can
// hold them, by trying their neighbours. One a group into `lines`. Before them the widths of codes, or the
// sets of levels, where groups have their own.
void fit_block(const Grid& grid, std::span<const float> x, std::span<const float> importance,
               std::byte* block, std::span<codec::Line> lines);
// The codes of a block whose lines are written.
void write_codes(const Grid& grid, std::span<const codec::Line> lines, std::span<const float> x,
                 std::byte* block);
// Once more one group's, among multiples of what the block has.
codec::Line fit_within(const Grid& grid, size_t group, std::span<const float> x,
                       std::span<const float> importance, const codec::Line& largest, std::byte* block);

}  // namespace varve

#include "learn/compress/method/round.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "learn/compress/allot/allocate.h"

namespace varve {
namespace {

using codec::inverse_of;
using codec::Line;

constexpr size_t kMostGroups = 16;

struct Sums {  // weighted, of levels l and values x
  double w = 0, l = 0, ll = 0, x = 0, xl = 0;
};

Sums sums_of(const Grid& grid, const Line& line, std::span<const float> x,
             std::span<const float> importance) {
  Sums sums;
  const float inverse = inverse_of(line.scale);
  for (size_t i = 0; i < x.size(); ++i) {
    const double w = double(importance[i]), value = double(x[i]),
                 level = double(grid.levels[grid.nearest((x[i] + line.min) * inverse)]);
    sums.w += w, sums.l += w * level, sums.ll += w * level * level, sums.x += w * value,
        sums.xl += w * value * level;
  }
  return sums;
}

// Least squares with the codes as they are.
Line refit(const Grid& grid, const Line& line, const Sums& sums) {
  if (!grid.mins) {
    const double scale = sums.ll > 0 ? sums.xl / sums.ll : double(line.scale);
    return {float(grid.negative ? scale : std::max(scale, 0.0)), 0};
  }
  const double spread = sums.w * sums.ll - sums.l * sums.l;
  if (!(spread > 0)) return line;
  double scale = (sums.w * sums.xl - sums.l * sums.x) / spread, min = (scale * sums.l - sums.x) / sums.w;
  if (!grid.negative && min < 0) min = 0, scale = sums.ll > 0 ? sums.xl / sums.ll : 0;
  return {float(grid.negative ? scale : std::max(scale, 0.0)), float(min)};
}

struct Best {
  Line line;
  double error = INFINITY;
  void offer(const Line& other, double its_error) {
    if (its_error < error) line = other, error = its_error;
  }
};

void offer(const Grid& grid, Line line, std::span<const float> x, std::span<const float> importance,
           Best& best) {
  for (int round = 0; round < 2; ++round) {
    line = refit(grid, line, sums_of(grid, line, x, importance));
    best.offer(line, group_error(grid, line, x, importance));
  }
}

// SliM-LLM's allocation: groups whose errors count more get more bits than others.
void choose_widths(const Grid& grid, std::span<const float> x, std::span<const float> importance,
                   std::byte* block) {
  std::vector<std::vector<Option>> groups;
  for (size_t at = 0; at < x.size(); at += grid.group) {
    const auto own = x.subspan(at, grid.group), weights = importance.subspan(at, grid.group);
    auto& options = groups.emplace_back();
    for (size_t bits = 1; size_t(1) << bits <= grid.levels.size(); ++bits) {
      const Grid narrow = grid.with_width(bits);
      options.push_back({int64_t(bits), group_error(narrow, fit_group(narrow, own, weights), own, weights)});
    }
  }
  std::array<uint8_t, kMostGroups> widths;
  const auto chosen = allocate(groups, int64_t(grid.widths)).value();
  for (size_t i = 0; i < chosen.size(); ++i) widths[i] = uint8_t(chosen[i] + 1);
  grid.set_widths(std::span(widths).first(groups.size()), block);
}

// BitMoD's choice: the set of levels that loses least in each group.
void choose_sets(const Grid& grid, std::span<const float> x, std::span<const float> importance,
                 std::byte* block) {
  for (size_t at = 0; at < x.size(); at += grid.group) {
    const auto own = x.subspan(at, grid.group), weights = importance.subspan(at, grid.group);
    double least = INFINITY;
    for (size_t set = 0; set < grid.choices(); ++set) {
      const Grid one = grid.with_set(set);
      const double error = group_error(one, fit_group(one, own, weights), own, weights);
      if (error < least) least = error, grid.set_choice(at / grid.group, set, block);
    }
  }
}

}  // namespace

double group_error(const Grid& grid, const Line& line, std::span<const float> x,
                   std::span<const float> importance) {
  const float inverse = inverse_of(line.scale);
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const float level = grid.levels[grid.nearest((x[i] + line.min) * inverse)];
    const double off = double(x[i]) - double(line.scale * level - line.min);
    error += double(importance[i]) * off * off;
  }
  return error;
}

Line fit_group(const Grid& grid, std::span<const float> x, std::span<const float> importance) {
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  const float first = grid.levels.front(), last = grid.levels.back();
  Best best;
  // Few levels are best when they leave the extremes out.
  const int tries = 12;
  const float narrowest = grid.levels.size() <= 4 ? 0.4f : grid.levels.size() <= 8 ? 0.6f : 0.75f;
  for (int i = 0; i < tries; ++i) {
    const float share = narrowest + (1.1f - narrowest) * float(i) / float(tries - 1);
    if (grid.mins) {
      const float low = grid.negative ? *least : std::min(*least, 0.f);
      if (!(*most > low)) return {0, -low};
      offer(grid, {share * (*most - low) / (last - first), -share * low}, x, importance, best);
    } else {
      const float extreme = std::abs(*least) > std::abs(*most) ? *least : *most;
      if (!(std::abs(extreme) > 0)) return {};
      const auto reach = [&](float level) { return grid.negative ? level : std::abs(level); };
      const float size = grid.negative ? extreme : std::abs(extreme);
      offer(grid, {share * size / reach(first), 0}, x, importance, best);
      if (-first != last && last > 1) offer(grid, {share * size / reach(last), 0}, x, importance, best);
    }
  }
  return best.line;
}

Line fit_within(const Grid& all, size_t group, std::span<const float> x, std::span<const float> importance,
                const Line& largest, std::byte* block) {
  const Grid grid = all.of(group, block);
  const Line wanted = fit_group(grid, x, importance);
  if (grid.multiples == 0) return grid.set_line(group, wanted, block);
  const float scale_step = largest.scale / float(grid.multiples),
              min_step = largest.min / float(grid.multiples);
  Best best;
  Line written;
  for (int s = -1; s <= 1; ++s) {
    for (int m = grid.mins ? -1 : 0; m <= (grid.mins ? 1 : 0); ++m) {
      const Line line{wanted.scale + float(s) * scale_step, wanted.min + float(m) * min_step};
      const Line got = grid.set_line(group, line, block);
      const double error = group_error(grid, got, x, importance);
      if (error < best.error) written = line;
      best.offer(got, error);
    }
  }
  return grid.set_line(group, written, block);
}

void fit_block(const Grid& grid, std::span<const float> x, std::span<const float> importance,
               std::byte* block, std::span<Line> lines) {
  const size_t groups = x.size() / grid.group;
  const auto part = [&](std::span<const float> of, size_t group) {
    return of.subspan(group * grid.group, grid.group);
  };
  if (grid.widths > 0) choose_widths(grid, x, importance, block);
  if (!grid.sets.empty()) choose_sets(grid, x, importance, block);
  std::array<Line, kMostGroups> wanted;
  Line largest;
  for (size_t i = 0; i < groups; ++i) {
    wanted[i] = fit_group(grid.of(i, block), part(x, i), part(importance, i));
    if (std::abs(wanted[i].scale) > std::abs(largest.scale)) largest.scale = wanted[i].scale;
    largest.min = std::max(largest.min, wanted[i].min);
  }
  if (grid.multiples == 0) {
    for (size_t i = 0; i < groups; ++i) lines[i] = grid.set_line(i, wanted[i], block);
    return;
  }
  Best best;
  for (const float stretch : {1.f, 0.9f, 0.95f, 1.06f}) {
    for (const float min_stretch : {1.f, 0.92f}) {
      if (!grid.mins && min_stretch != 1) continue;
      const Line tried{largest.scale * stretch, largest.min * min_stretch};
      grid.begin(tried, block);
      double error = 0;
      for (size_t i = 0; i < groups; ++i)
        error += group_error(grid.of(i, block), grid.set_line(i, wanted[i], block), part(x, i),
                             part(importance, i));
      best.offer(tried, error);
    }
  }
  grid.begin(best.line, block);
  for (size_t i = 0; i < groups; ++i)
    lines[i] = fit_within(grid, i, part(x, i), part(importance, i), best.line, block);
}

void write_codes(const Grid& grid, std::span<const Line> lines, std::span<const float> x, std::byte* block) {
  for (size_t group = 0; group < lines.size(); ++group) {
    const Grid own = grid.of(group, block);
    for (size_t i = group * grid.group; i < (group + 1) * grid.group; ++i)
      grid.set_code(i, code_on(own, lines[group], x[i]), block);
  }
}

}  // namespace varve

// Rotary positions (Su et al. 2021). Angles in double: at position 100,000 a float has lost three digits.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "math/ops/access.h"
#include "math/ops/ops.h"
#include "math/ops/turn.h"

namespace varve {
namespace {

constexpr int32_t kPairs = kMaxHeadDim / 2;

struct Turns {
  std::array<double, kPairs> speed;
};

// The pair that turns `turns` times within the original context (Peng et al. 2023, equation 14 solved for
// it).
double pair_of(const RopeSpec& spec, double turns) {
  return spec.dim * std::log(spec.original_context / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(double(spec.base)));
}

Turns turns_of(const RopeSpec& spec) {
  Turns turns;
  const double low = std::max(std::floor(pair_of(spec, double(spec.yarn_beta_fast))), 0.0);
  const double high = std::min(std::ceil(pair_of(spec, double(spec.yarn_beta_slow))), spec.dim - 1.0);
  for (int32_t i = 0; i < spec.dim / 2; ++i) {
    double speed = std::pow(double(spec.base), -2.0 * i / spec.dim) * double(spec.scale);
    if (!spec.factors.empty()) speed /= double(spec.factors[size_t(i)]);
    if (spec.yarn_extension > 1) {
      const double slow = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
      speed *= (1 - slow) + slow / double(spec.yarn_extension);
    }
    turns.speed[size_t(i)] = speed;
  }
  return turns;
}

struct Rotation {
  const float *cos, *sin;
};

void rotate_head(float* head, const RopeSpec& spec, const Rotation& by) {
  const int32_t pairs = spec.dim / 2;
  const bool adjacent = spec.kind == RopeKind::adjacent;
  const int32_t step = adjacent ? 2 : 1, apart = adjacent ? 1 : pairs;
  for (int32_t i = 0; i < pairs; ++i) {
    float &a = head[i * step], &b = head[i * step + apart];
    const float c = by.cos[i], s = by.sin[i], old = a;
    a = old * c - b * s;
    b = old * s + b * c;
  }
}

void angles(const RopeSpec& spec, const Turns& turns, int32_t position, float* cos, float* sin) {
  for (int32_t i = 0; i < spec.dim / 2; ++i) {
    const double angle = position * turns.speed[size_t(i)];
    cos[i] = float(std::cos(angle) * double(spec.attention_factor));
    sin[i] = float(std::sin(angle) * double(spec.attention_factor));
  }
}

void check_rope(const RopeSpec& spec) {
  const int32_t pairs = spec.dim / 2;
  CHECK(spec.dim % 2 == 0 && pairs <= kPairs, "a head rotates an even part of itself");
  CHECK(spec.factors.empty() || int32_t(spec.factors.size()) == pairs, "a factor a pair");
  CHECK(spec.yarn_extension <= 1 || spec.original_context > 0, "YaRN needs the original context");
}

}  // namespace

void Ops::rope(Rows x, int32_t heads, const RopeSpec& spec, std::span<const int32_t> positions) {
  if (spec.kind == RopeKind::none) return;
  CHECK(heads > 0 && x.width() % heads == 0 && int32_t(positions.size()) == x.count(), "shapes of a rope");
  const int32_t width = x.width() / heads;
  check_rope(spec);
  CHECK(spec.dim <= width, "a head rotates a part of itself");
  const Turns turns = turns_of(spec);
  each_row(x, 32 * spec.dim + 2 * x.width(), [&](int32_t row) {
    std::array<float, kPairs> cos, sin;
    angles(spec, turns, positions[size_t(row)], cos.data(), sin.data());
    for (int32_t head = 0; head < heads; ++head) {
      rotate_head(RowsAccess::row(x, row) + head * width, spec, {cos.data(), sin.data()});
    }
  });
}

void turn_rows(const RopeSpec& given, int32_t dim, std::span<const int32_t> by, std::span<float> rows) {
  if (given.kind == RopeKind::none) return;
  RopeSpec spec = given;
  spec.attention_factor = 1;
  check_rope(spec);
  CHECK(spec.dim <= dim && rows.size() == by.size() * size_t(dim), "shapes of a turn");
  const Turns turns = turns_of(spec);
  std::array<float, kPairs> cos, sin;
  for (size_t i = 0; i < by.size(); ++i) {
    if (by[i] == 0) continue;
    if (i == 0 || by[i] != by[i - 1]) angles(spec, turns, by[i], cos.data(), sin.data());
    rotate_head(&rows[i * size_t(dim)], spec, {cos.data(), sin.data()});
  }
}

void Ops::rope_angles(const RopeSpec& spec, std::span<const int32_t> positions, Rows out) {
  CHECK(out.width() == spec.dim && int32_t(positions.size()) == out.count(), "shapes of a rope");
  check_rope(spec);
  const Turns turns = turns_of(spec);
  each_row(out, 32 * spec.dim, [&](int32_t row) {
    float* at = RowsAccess::row(out, row);
    angles(spec, turns, positions[size_t(row)], at, at + spec.dim / 2);
  });
}

void Ops::rotate(Rows x, int32_t heads, const RopeSpec& spec, Rows by, bool back) {
  CHECK(heads > 0 && x.width() % heads == 0 && x.count() == by.count() && by.width() == spec.dim &&
            spec.dim <= x.width() / heads,
        "shapes of a rope");
  each_row(x, 2 * x.width(), [&](int32_t row) {
    const float* at = RowsAccess::row(by, row);
    std::array<float, kPairs> sin;
    for (int32_t i = 0; i < spec.dim / 2; ++i)
      sin[size_t(i)] = back ? -at[spec.dim / 2 + i] : at[spec.dim / 2 + i];
    for (int32_t head = 0; head < heads; ++head) {
      rotate_head(RowsAccess::row(x, row) + head * (x.width() / heads), spec, {at, sin.data()});
    }
  });
}

}  // namespace varve

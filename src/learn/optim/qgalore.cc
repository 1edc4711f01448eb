// Q-GaLore (Zhang et al. 2024): GaLore with 8-bit moments, its directions kept in 4 bits, and found anew ever
// more rarely where they stand still: when they resembled the last ones `patience` times in a row, the gap of
// this matrix doubles. Its third part, weights in 8 bits that are rounded at random, is not here.
#include <algorithm>
#include <cstring>

#include "learn/optim/galore.h"

namespace varve::optim {
namespace {

constexpr size_t kGroup = 256;  // of directions, under one scale

struct Nibbles {
  float scale;
  uint8_t two[kGroup / 2];
};
struct Calendar {
  int64_t next;
  int32_t gap, alike;
};

void encode(const float* x, size_t n, std::byte* out) {
  for (size_t at = 0; at < n; at += kGroup, out += sizeof(Nibbles)) {
    Nibbles group{};
    const size_t some = std::min(kGroup, n - at);
    for (size_t i = 0; i < some; ++i) group.scale = std::max(group.scale, std::abs(x[at + i]) / 7);
    for (size_t i = 0; i < some && group.scale > 0; ++i) {
      const int code = int(std::nearbyint(std::clamp(x[at + i] / group.scale, -7.f, 7.f))) + 8;
      group.two[i / 2] = uint8_t(group.two[i / 2] | (code << (i % 2 * 4)));
    }
    std::memcpy(out, &group, sizeof group);
  }
}

void decode(const std::byte* from, size_t n, float* x) {
  for (size_t at = 0; at < n; at += kGroup, from += sizeof(Nibbles)) {
    Nibbles group;
    std::memcpy(&group, from, sizeof group);
    const size_t some = std::min(kGroup, n - at);
    for (size_t i = 0; i < some; ++i)
      x[at + i] = group.scale * float(int(group.two[i / 2] >> (i % 2 * 4) & 15) - 8);
  }
}

struct QGalore : LowMoments {
  int32_t patience = 5;
  float alike = 0.4f;

  size_t directions(ParamShape shape) const { return size_t(rank * width(shape)); }
  int64_t held(ParamShape shape) const {
    const size_t groups = (directions(shape) + kGroup - 1) / kGroup;
    return int64_t((sizeof(Calendar) + groups * sizeof(Nibbles) + 7) / 8 * 8);
  }
  int64_t state_bytes(ParamShape shape) const override {
    return projected(shape) ? held(shape) + moment_bytes(low_values(shape)) : moment_bytes(shape.size());
  }
  int64_t work_bytes(ParamShape shape) const override {
    return projected(shape) ? int64_t(2 * directions(shape) * 4) + LowMoments::work_bytes(shape) : 0;
  }

  // How alike the two are: the mean of the cosines between direction and direction.
  float likeness(ParamShape shape, const float* was, const float* is) const {
    const auto n = size_t(width(shape));
    double sum = 0;
    for (size_t k = 0; k < size_t(rank); ++k) {
      const double a = kernels().squares(was + k * n, 0, n), b = kernels().squares(is + k * n, 0, n);
      const double along = double(kernels().dot(was + k * n, is + k * n, nullptr, n));
      if (a * b > 0) sum += std::abs(along) / std::sqrt(a * b);
    }
    return float(sum / rank);
  }

  void find(ParamShape shape, std::span<const float> gradient, std::span<std::byte> state,
            const StepAt& at) const {
    Calendar calendar;
    std::memcpy(&calendar, state.data(), sizeof calendar);
    if (at.step == 1) calendar = {0, gap, 0};
    const size_t n = directions(shape);
    float *now = at.work.data(), *was = now + n, *low = was + n;
    std::byte* codes = state.data() + sizeof(Calendar);
    decode(codes, n, now);
    if (at.step > 1 && at.step < calendar.next) return;
    const Projection way = projection(shape);
    if (at.step == 1) way.draw({at.seed + at.place, 0, Site::init}, now);
    std::copy_n(now, n, was);
    way.turn(gradient.data(), now, low);
    calendar.alike = at.step > 1 && likeness(shape, was, now) >= alike ? calendar.alike + 1 : 0;
    if (calendar.alike >= patience) calendar.gap = std::min(2 * calendar.gap, 1 << 29), calendar.alike = 0;
    // The first time staggered, so that not all matrices are due at once.
    calendar.next = at.step + calendar.gap - (at.step == 1 ? int64_t(at.place) % calendar.gap : 0);
    encode(now, n, codes), decode(codes, n, now);
    std::memcpy(state.data(), &calendar, sizeof calendar);
  }

  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    AdamStep by = moments.at(at);
    if (!projected(shape)) return adam(by, gradient, param, state);
    find(shape, gradient, state, at);
    const Projection way = projection(shape);
    const auto n = size_t(low_values(shape));
    const float* now = at.work.data();
    const std::span<float> low = at.work.subspan(2 * directions(shape), n),
                           move = at.work.subspan(2 * directions(shape) + n, n);
    std::fill(low.begin(), low.end(), 0.f), std::fill(move.begin(), move.end(), 0.f);
    way.down(gradient.data(), now, low.data());
    decay_first(by, param);
    adam(by, low, move, state.subspan(size_t(held(shape))));
    way.up(now, move.data(), scale, param.data());
  }
};

}  // namespace

Made qgalore(const Spec& spec) {
  auto rule = std::make_unique<QGalore>();
  rule->bits = 8;
  OptionReader reader(spec);
  reader.read("patience", rule->patience, 1, 1 << 20).read("alike", rule->alike, 0.f, 1.f);
  TRY(rule->read(reader));
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim

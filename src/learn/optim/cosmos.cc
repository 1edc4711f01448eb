// COSMOS (Liu et al. 2025): in the leading directions of the gradient's covariance, Adam as in SOAP; in all
// others Muon, whose step is the momentum with its singular values made one. State: the momentum, the leading
// directions and their covariance, and the second moments along them.
#include <algorithm>
#include <cstring>
#include <vector>

#include "learn/optim/galore.h"
#include "learn/optim/polar.h"

namespace varve::optim {
namespace {

struct Cosmos : LowMoments {
  float gamma = 0.2f;  // of Muon's part

  int64_t values(ParamShape shape) const {
    return shape.size() + rank * (width(shape) + rank) + low_values(shape);
  }
  int64_t state_bytes(ParamShape shape) const override {
    return projected(shape) ? 4 * values(shape) : 8 * shape.size();
  }
  int64_t work_bytes(ParamShape shape) const override {
    if (!projected(shape)) return 0;
    return 4 * (shape.size() + 2 * low_values(shape) + rank * width(shape) + polar_work(shape));
  }

  // One step of the power iteration on beta * (what is known) + (1 - beta) * g g^T.
  void turn(const Projection& way, const float* g, float* directions, float* covariance, float* low,
            float* next, bool first) const {
    const size_t r = way.rank, w = way.sides.width(), l = way.sides.length();
    const float keep = first ? 0 : moments.beta2;
    std::fill_n(low, r * l, 0.f), std::fill_n(next, r * w, 0.f);
    way.down(g, directions, low);
    kernels().scale(low, 1 - keep, r * l);
    way.across(g, low, next);
    for (size_t i = 0; i < r && !first; ++i) {
      std::vector<float> row(covariance + i * r, covariance + (i + 1) * r);
      for (float& one : row) one *= keep;
      kernels().mix(row.data(), r, directions, w, w, next + i * w);
    }
    orthonormalize(next, r, w);
    carry_covariance(way, g, directions, next, covariance, low, keep);
    std::copy_n(next, r * w, directions);
  }

  // S becomes keep * (V^T U) S (V^T U)^T + (1 - keep) V^T g g^T V, V the new directions.
  void carry_covariance(const Projection& way, const float* g, const float* was, const float* is, float* s,
                        float* low, float keep) const {
    const size_t r = way.rank, w = way.sides.width(), l = way.sides.length();
    std::vector<float> turned(r * r), half(r * r), all(r * r);
    for (size_t i = 0; i < r; ++i) {
      for (size_t j = 0; j < r; ++j) turned[i * r + j] = kernels().dot(is + i * w, was + j * w, nullptr, w);
    }
    for (size_t i = 0; i < r; ++i) kernels().mix(&turned[i * r], r, s, r, r, &half[i * r]);
    std::fill_n(low, r * l, 0.f);
    way.down(g, is, low);
    for (size_t i = 0; i < r; ++i) {
      for (size_t j = 0; j < r; ++j) {
        all[i * r + j] = keep * kernels().dot(&half[i * r], &turned[j * r], nullptr, r) +
                         (1 - keep) * kernels().dot(low + i * l, low + j * l, nullptr, l);
      }
    }
    std::copy(all.begin(), all.end(), s);
  }

  void step(ParamShape shape, std::span<float> param, std::span<const float> gradient,
            std::span<std::byte> state, const StepAt& at) const override {
    AdamStep by = moments.at(at);
    if (!projected(shape)) return adam(by, gradient, param, state);
    const Projection way = projection(shape);
    const auto size = size_t(shape.size()), n = size_t(low_values(shape)), r = way.rank;
    float *momentum = floats(state).data(), *directions = momentum + size;
    float *covariance = directions + r * way.sides.width(), *second = covariance + r * r;
    float *left = at.work.data(), *low = left + size, *move = low + n, *next = move + n;
    float* rest = next + r * way.sides.width();
    if (at.step == 1) way.draw({at.seed + at.place, 0, Site::init}, directions);
    turn(way, gradient.data(), directions, covariance, low, next, at.step == 1);
    // `low` is the gradient along the new directions.
    for (size_t i = 0; i < size; ++i) momentum[i] = by.beta1 * momentum[i] + (1 - by.beta1) * gradient[i];
    std::fill_n(move, n, 0.f);
    way.down(momentum, directions, move);
    std::copy_n(momentum, size, left);
    way.up(directions, move, -1, left);
    for (size_t i = 0; i < n; ++i) {
      second[i] = by.beta2 * second[i] + (1 - by.beta2) * low[i] * low[i];
      move[i] = move[i] * by.correct1 / (std::sqrt(second[i] * by.correct2) + by.epsilon);
    }
    decay_first(by, param);
    way.up(directions, move, -by.rate * scale, param.data());
    polar(shape, {left, size}, {rest, size_t(polar_work(shape))});
    const float factor = -by.rate * gamma * std::sqrt(float(way.sides.length()));
    kernels().mix(&factor, 1, left, 0, size, param.data());
  }
};

}  // namespace

Made cosmos(const Spec& spec) {
  auto rule = std::make_unique<Cosmos>();
  rule->rank = 64, rule->scale = 1;
  OptionReader reader(spec);
  reader.read("gamma", rule->gamma, 0.f, 1e3f);
  TRY(rule->read(reader));
  if (rule->bits != 32) return Status(Code::invalid, "cosmos keeps its moments in f32");
  return std::unique_ptr<Optimizer>(std::move(rule));
}

}  // namespace varve::optim

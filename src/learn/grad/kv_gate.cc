#include "learn/grad/kv_gate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/rng.h"

namespace varve {
namespace {

constexpr std::string_view kGate = ".kv_gate", kBias = ".kv_gate.bias";

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double log_sigmoid(double x) {
  return x > 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x));
}

}  // namespace

Result<KvGateSpec> read_kv_gate(const Spec& from) {
  KvGateSpec spec;
  TRY(OptionReader(from)
          .read("keep", spec.keep, 0.001f, 0.999f)
          .read("pressure", spec.pressure, 0.f, 1e6f)
          .read("sharp", spec.sharp, 0.01f, 10.f)
          .read("near", spec.near, 1, 1 << 20)
          .read("sinks", spec.sinks, 0, 1024)
          .read("seed", spec.seed, uint64_t(0), uint64_t(1) << 62)
          .done());
  return spec;
}

double KvGates::share() const {
  return std::accumulate(shares.begin(), shares.end(), 0.0) / double(std::max<size_t>(1, shares.size()));
}

KvGate::KvGate(KvGates& all, int32_t layer) : all_(&all), layer_(layer) {
  all.shares.resize(std::max(all.shares.size(), size_t(layer) + 1));
}

double KvGate::coin(size_t at) const {
  const double u = std::max(1e-9, random_unit({spec().seed, uint64_t(layer_), Site::dropout}, at));
  return std::log(u) - std::log1p(-u);
}

std::vector<float> KvGate::logs(std::span<const float> logits, std::span<const int32_t> positions,
                                int32_t heads) const {
  std::vector<float> logs(logits.size());
  double stay = 0, count = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (positions[i / size_t(heads)] < spec().sinks) continue;
    logs[i] = float(log_sigmoid((double(logits[i]) + coin(i)) / double(spec().sharp)));
    stay += sigmoid(double(logits[i])), ++count;
  }
  all_->shares[size_t(layer_)] = count == 0 ? 0 : stay / count;
  return logs;
}

void KvGate::back(std::span<const float> logits, std::span<const int32_t> positions, int32_t heads,
                  std::span<float> slopes) const {
  const double share = all_->share();
  double count = 0;
  for (size_t i = 0; i < logits.size(); ++i) count += positions[i / size_t(heads)] < spec().sinks ? 0 : 1;
  const double pull = 2 * double(spec().pressure) * (share - double(spec().keep)) /
                      (double(all_->shares.size()) * std::max(1.0, count));
  for (size_t i = 0; i < logits.size(); ++i) {
    const double a = double(logits[i]), sharp = double(spec().sharp), p = sigmoid(a);
    const double of_log = sigmoid(-(a + coin(i)) / sharp) / sharp;
    const bool sink = positions[i / size_t(heads)] < spec().sinks;
    slopes[i] = sink ? 0 : float(double(slopes[i]) * of_log + pull * p * (1 - p));
  }
}

bool GateSource::has(std::string_view role) const {
  return role.ends_with(kBias) || store_.find(role) != kNoWeight;
}

Result<std::unique_ptr<Leaf>> GateSource::leaf(std::string_view role, int32_t rows, int32_t cols) {
  if (role.ends_with(kGate)) {
    Part& part = parts_.add(std::string(role) + ".w", rows, cols);
    part.over_base = true;
    return dense_leaf(part);
  }
  const WeightId id = store_.find(role);
  if (id == kNoWeight) return Status(Code::invalid, "the model has no " + std::string(role));
  const WeightEntry& entry = store_.entries()[id];
  if (entry.rows != rows || entry.cols != cols || entry.stack != 1)
    return Status(Code::invalid, std::string(role) + " has not the shape that its model wants");
  return frozen_leaf(store_, id);
}

Result<Vector> GateSource::vector(std::string_view role, int32_t width) {
  if (role.ends_with(kBias)) {
    Part& part = parts_.add(std::string(role.substr(0, role.size() - kBias.size())) + ".kv_gate.b", 1, width);
    part.over_base = true;
    return Vector{.part = &part};
  }
  const WeightId id = store_.find(role);
  if (id == kNoWeight) return Status(Code::invalid, "the model has no " + std::string(role));
  return Vector{.frozen = TRY(store_.pin(id))};
}

void GateSource::begin() {
  const float even = std::log(spec().keep / (1 - spec().keep));
  for (size_t i = 0; i < parts_.size(); ++i)
    std::ranges::fill(parts_[i].value, parts_[i].role.ends_with(".b") ? even : 0.f);
}

}  // namespace varve

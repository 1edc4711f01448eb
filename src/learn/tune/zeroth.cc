#include "learn/tune/zeroth.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/base/rng.h"
#include "math/kernel/kernel.h"

namespace varve {
namespace {

constexpr int64_t kRun = 4096;  // values of a task

// Four values of the normal distribution for each block of random bits.
void normal(const RngKey& key, int64_t index, std::span<float> out) {
  for (size_t i = 0; i < out.size(); i += 4) {
    const auto bits = random_block(key, uint32_t((index + int64_t(i)) / 4));
    for (size_t pair = 0; pair < 2; ++pair) {
      const float radius = std::sqrt(-2 * std::log((float(bits[2 * pair] >> 8) + 1) * 0x1p-24f));
      const float angle = 2 * std::numbers::pi_v<float> * float(bits[2 * pair + 1] >> 8) * 0x1p-24f;
      if (i + 2 * pair < out.size()) out[i + 2 * pair] = radius * std::cos(angle);
      if (i + 2 * pair + 1 < out.size()) out[i + 2 * pair + 1] = radius * std::sin(angle);
    }
  }
}

size_t stage_of(std::string_view role, size_t layers) {
  if (role == "token_embd") return 0;
  size_t layer = layers;
  if (role.starts_with("blk.")) std::from_chars(role.data() + 4, role.data() + role.size(), layer);
  return layer + 1;
}

double loss_of(const Lines& lines, std::span<const float> nll) {
  double sum = 0;
  for (size_t i = 0; i < nll.size(); ++i) sum += double(lines.weights[i]) * double(nll[i]);
  return sum;
}

int64_t padded(const Part& part) {
  return (part.size() + 15) / 16 * 16;
}

}  // namespace

std::vector<std::vector<Zeroth::Piece>> Zeroth::stages(const Network& network, const Parts& parts) {
  const size_t layers = network.spec().layers.size();
  std::vector<std::vector<Piece>> all(layers + 2);
  for (size_t i = 0; i < parts.size(); ++i) {
    auto* part = const_cast<Part*>(&parts[i]);
    const size_t stage = stage_of(part->role, layers);
    all[stage].push_back({part, true, part->value});
    if (stage == 0 && network.tied()) all.back().push_back({part, false, part->value});
  }
  return all;
}

int64_t Zeroth::widest(const std::vector<std::vector<Piece>>& stages) {
  int64_t most = 0;
  for (const auto& stage : stages) {
    int64_t sum = 0;
    for (const Piece& piece : stage) sum += padded(*piece.part) * 4;
    most = std::max(most, sum);
  }
  return most;
}

int64_t Zeroth::bytes(const Network& network, const Parts& parts) {
  return widest(stages(network, parts));
}

Result<std::unique_ptr<Zeroth>> Zeroth::make(Network& network, Parts& parts, ZerothPlan plan,
                                             ThreadPool& pool, Ledger& ledger) {
  std::unique_ptr<Zeroth> one(new Zeroth(network, parts, plan, pool));
  one->stages_ = stages(network, parts);
  one->room_ = TRY(Buffer::make(ledger, Tag::weights, widest(one->stages_)));
  return one;
}

std::span<float> Zeroth::room(int64_t at, const Part& part) {
  return {reinterpret_cast<float*>(room_.bytes().data()) + at, size_t(part.size())};
}

// values += factor times the direction of a step.
void Zeroth::add(const Part& part, std::span<float> values, int64_t step, double factor) {
  const int64_t at = parts_.offset(part), size = part.size();
  pool_.run((size + kRun - 1) / kRun, [&](int64_t task) {
    const auto some = values.subspan(size_t(task * kRun), size_t(std::min(kRun, size - task * kRun)));
    float drawn[kRun];
    normal({plan_.seed, uint64_t(step), Site::perturbation}, at + task * kRun, {drawn, some.size()});
    const auto by = float(factor);
    kernels().mix(&by, 1, drawn, 0, some.size(), some.data());
  });
}

// The weights of a stage into the room, where their readers find them from now on.
Status Zeroth::fetch(size_t stage, const Finding& before) {
  int64_t at = 0;
  for (const Piece& piece : stages_[stage]) {
    Part& part = *piece.part;
    const std::span<float> values = room(at, part);
    at += padded(part);
    TRY(parts_.read(part, values));
    part.value = values;
    if (!piece.own || before.step == 0) continue;
    if (before.shrink != 0 && part.rows > 1)
      kernels().scale(values.data(), float(1 - before.shrink), values.size());
    add(part, values, before.step, -before.along);
    TRY(parts_.write(part, values));
  }
  return {};
}

void Zeroth::move(size_t stage, int64_t step, double factor) {
  for (const Piece& piece : stages_[stage]) add(*piece.part, piece.part->value, step, factor);
}

void Zeroth::go_home() {
  for (const auto& stage : stages_) {
    for (const Piece& piece : stage) piece.part->value = piece.home;
  }
}

Result<Zeroth::Pair> Zeroth::look(const Lines& lines, int64_t step, Finding& before) {
  std::vector<float> plus(lines.tokens.size()), minus(plus.size());
  const std::span<float> both[] = {plus, minus};
  const Status status = network_.evaluate(lines, both, [&](int32_t stage, int32_t pass) -> Status {
    if (pass == 0) TRY(fetch(size_t(stage), before));
    move(size_t(stage), step, pass == 0 ? double(plan_.reach) : -2 * double(plan_.reach));
    return {};
  });
  go_home();
  if (!status.ok()) return Status(status.code(), std::string(status.message()));
  before = {};
  return Pair{loss_of(lines, plus), loss_of(lines, minus)};
}

Status Zeroth::evaluate(const Lines& lines, std::span<float> nll) {
  Status status =
      network_.evaluate(lines, {&nll, 1}, [&](int32_t stage, int32_t) { return fetch(size_t(stage), {}); });
  go_home();
  return status;
}

Status Zeroth::settle(Finding& before) {
  if (before.step == 0) return {};
  for (size_t stage = 0; stage < stages_.size(); ++stage) TRY(fetch(stage, before));
  go_home();
  before = {};
  return {};
}

}  // namespace varve

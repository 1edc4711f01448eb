// One step of a lesson: gradients of all that learns, or of one layer after the other, measured, clipped and
// used.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "learn/tune/lesson.h"
#include "math/kernel/kernel.h"

namespace varve {

std::vector<size_t> Lesson::units_of(int32_t layer) const {
  std::vector<size_t> all;
  for (size_t i = 0; i < layout_.units().size(); ++i) {
    const Part& part = *layout_.units()[i].part;
    if (sink_->learns(part) && (layer == kAll || layout_.layer_of(part) == layer)) all.push_back(i);
  }
  return all;
}

Status Lesson::measure(int32_t layer) {
  const std::vector<size_t> units = units_of(layer);
  pool_->run(int64_t(units.size()), [&](int64_t i) {
    const StepUnit& unit = layout_.units()[units[size_t(i)]];
    const auto gradient = sink_->of(*unit.part).subspan(size_t(unit.first), size_t(unit.shape.size()));
    if (unit.settles > 0 && done_ >= unit.settles) std::fill(gradient.begin(), gradient.end(), 0.f);
    squares_[units[size_t(i)]] = kernels().squares(gradient.data(), 0, gradient.size());
  });
  const bool finite =
      std::all_of(units.begin(), units.end(), [&](size_t i) { return std::isfinite(squares_[i]); });
  return finite ? Status() : not_finite();
}

double Lesson::norm() const {
  return std::sqrt(std::accumulate(squares_.begin(), squares_.end(), 0.0));
}

Status Lesson::not_finite() {
  return Status(Code::invalid, "step " + std::to_string(done_ + 1) +
                                   " has no finite loss or gradient: lower the rate and go on from the last "
                                   "checkpoint");
}

void Lesson::step_unit(size_t index, float scale, std::span<float> room) {
  const StepUnit& unit = layout_.units()[index];
  if (unit.settles > 0 && done_ >= unit.settles) return;  // measure() left its gradient at zero
  const auto n = size_t(unit.shape.size());
  const int32_t layer = layout_.layer_of(*unit.part);
  const bool turns = selector_ != nullptr && layer >= 0;
  const int32_t slot = turns ? int32_t(slots()[size_t(layer)]) - 1 : 0;
  const auto gradient = sink_->of(*unit.part).subspan(size_t(unit.first), n);
  const auto values = unit.part->value.subspan(size_t(unit.first), n);
  if (scale != 1) kernels().scale(gradient.data(), scale, n);
  const auto before = moves_ ? room.last(n) : room.first(0);
  if (moves_) std::copy(values.begin(), values.end(), before.begin());
  rule_->step(unit.shape, values, gradient,
              state_.bytes().subspan(size_t(layout_.state_at(unit, slot)), size_t(unit.state_bytes)),
              {.step = turns ? steps()[size_t(layer)] : done_ + 1,
               .rate = plan_.rate_at(done_ + 1),
               .decay = unit.part->rows > 1 ? plan_.decay : 0,
               .seed = plan_.seed,
               .place = uint64_t(index),
               .work = room.first(room.size() - before.size())});
  std::fill(gradient.begin(), gradient.end(), 0.f);
  if (!moves_) return;
  moved_[index].second = kernels().squares(before.data(), 0, n);
  for (size_t i = 0; i < n; ++i) before[i] -= values[i];
  moved_[index].first = kernels().squares(before.data(), 0, n);
}

// Uses the gradients of a layer, or of all, and leaves zeros.
Status Lesson::apply(int32_t layer, float scale) {
  const std::vector<size_t> units = units_of(layer);
  pool_->run(int64_t(units.size()), [&](int64_t i) {
    const Rooms::Room room(rooms_);
    step_unit(units[size_t(i)], scale, room.floats());
  });
  return {};
}

void Lesson::clear(int32_t layer) {
  for (size_t i : units_of(layer)) {
    const StepUnit& unit = layout_.units()[i];
    const auto gradient = sink_->of(*unit.part).subspan(size_t(unit.first), size_t(unit.shape.size()));
    std::fill(gradient.begin(), gradient.end(), 0.f);
  }
}

Result<Progress> Lesson::step(const Batches& batches) {
  if (spoilt_) return Status(Code::invalid, "a step broke off half-way: go on from the last checkpoint");
  if (zeroth_ != nullptr) return step_zeroth(batches);
  if (selector_ != nullptr) TRY(choose(batches));
  std::fill(squares_.begin(), squares_.end(), 0.0);
  moved_.assign(moves_ ? squares_.size() : 0, {});
  auto progress = fused() ? step_fused(batches) : step_whole(batches);
  sink_->on_done = nullptr;
  if (!progress.ok()) {
    sink_->clear();
    return progress;
  }
  if (moves_) tell_moves();
  ++done_;
  return progress;
}

Result<Progress> Lesson::step_whole(const Batches& batches) {
  Progress progress{.step = done_ + 1};
  progress.loss = TRY(learn(batches, progress));
  if (!std::isfinite(progress.loss)) return not_finite();
  if (regularise_) {
    regularise_([&](const Part& part) { return sink_->learns(part) ? sink_->of(part) : std::span<float>(); });
  }
  TRY(measure(kAll));
  progress.norm = norm();
  TRY(apply(kAll, clipped(progress.norm)));
  return progress;
}

Status Lesson::regularise(std::function<void(const Gradient&)> by) {
  if (fused() || zeroth_ != nullptr) {
    return Status(Code::invalid, plan_.gradient + " has no gradients that a form's own loss could join");
  }
  regularise_ = std::move(by);
  return {};
}

Status Lesson::gradients(const Batches& batches,
                         const std::function<void(const Part&, std::span<const float>)>& visit) {
  if (fused() || selector_ != nullptr || zeroth_ != nullptr || ghost_) {
    return Status(
        Code::invalid,
        "the first gradient of all layers is wanted, and with a fused update or a selector it never "
        "exists, and with dp nobody may see it");
  }
  Progress unused;
  Status status = learn(batches, unused).status();
  for (size_t i = 0; status.ok() && i < parts_.size(); ++i) visit(parts_[i], sink_->of(parts_[i]));
  sink_->clear();
  return status;
}

// The gradient of a layer is used before that of the next is made, in the same room. A norm of all of them
// together is known only afterwards: to clip by it, a first pass does nothing but measure.
Result<Progress> Lesson::step_fused(const Batches& batches) {
  Progress progress{.step = done_ + 1};
  float scale = 1;
  if (plan_.clip > 0) {
    sink_->on_done = [this](int32_t layer) {
      Status measured = measure(layer);
      clear(layer);
      return measured;
    };
    Progress again;
    const double loss = TRY(learn(batches, again));
    if (!std::isfinite(loss)) return not_finite();
    TRY(measure(-1));
    scale = clipped(norm());
    sink_->clear();
  }
  sink_->on_done = [&](int32_t layer) -> Status {
    TRY(measure(layer));
    spoilt_ = true;
    return apply(layer, scale);
  };
  progress.loss = TRY(learn(batches, progress));
  TRY(measure(-1));
  TRY(apply(-1, scale));
  if (!std::isfinite(progress.loss)) return not_finite();
  spoilt_ = false;
  progress.norm = norm();
  return progress;
}

}  // namespace varve

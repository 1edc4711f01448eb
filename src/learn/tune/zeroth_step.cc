// A lesson's step without gradients.
#include <cmath>
#include <cstring>

#include "learn/tune/lesson.h"
#include "learn/tune/zeroth.h"

namespace varve {

Result<Progress> Lesson::step_zeroth(const Batches& batches) {
  Progress progress{.step = done_ + 1};
  Finding& found = *reinterpret_cast<Finding*>(state_.bytes().data());
  double targets = 0, plus = 0, minus = 0;
  TextBatch batch;
  for (int32_t part = 0; part < plan_.parts; ++part) {
    TRY(batches.fill(done_, part, batch));
    if (batch.tokens.empty()) continue;
    const auto pair =
        TRY(zeroth_->look({batch.tokens, batch.targets, batch.weights, batch.starts}, done_ + 1, found));
    plus += pair.plus, minus += pair.minus;
    for (float weight : batch.weights) targets += double(weight);
    progress.tokens += int64_t(batch.tokens.size());
  }
  if (!(targets > 0))
    return Status(Code::invalid, "there is nothing to learn in step " + std::to_string(done_ + 1));
  progress.loss = (plus + minus) / (2 * targets);
  const double slope = (plus - minus) / (2 * targets * double(reach_));
  progress.norm = std::abs(slope);  // along the one direction that was looked at
  if (!std::isfinite(slope)) return not_finite();
  const double rate = double(plan_.rate_at(done_ + 1));
  found = {done_ + 1, rate * slope, rate * double(plan_.decay)};
  ++done_;
  if (done_ == plan_.steps) TRY(zeroth_->settle(found));
  return progress;
}

Status Lesson::likelihood(const Lines& lines, std::span<float> nll) {
  if (zeroth_ == nullptr) return network_.evaluate(lines, nll);
  TRY(zeroth_->settle(*reinterpret_cast<Finding*>(state_.bytes().data())));
  return zeroth_->evaluate(lines, nll);
}

}  // namespace varve

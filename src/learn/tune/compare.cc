// Objectives that ask the model before it learns: all sequences of a group are played forward, saving
// nothing; their slopes are known; then each is learnt alone. So a pair takes the room of one sequence.
#include <numeric>

#include "learn/tune/lesson.h"

namespace varve {

Result<std::vector<Likelihood>> Lesson::look(const Batches& batches, int64_t step, int32_t group) {
  std::vector<Likelihood> told(size_t(objective_->sequences()));
  TextBatch batch;
  std::vector<float> nll;
  for (size_t i = 0; i < told.size(); ++i) {
    TRY(batches.fill(step, group * objective_->sequences() + int32_t(i), batch));
    nll.assign(batch.tokens.size(), 0);
    const Lines lines{batch.tokens, batch.targets, batch.weights, batch.starts};
    auto sum = [&] { return std::accumulate(nll.begin(), nll.end(), 0.0); };
    TRY(network_.evaluate(lines, nll));
    told[i].nll = sum();
    for (int32_t target : batch.targets) told[i].tokens += target >= 0 ? 1 : 0;
    if (told[i].tokens == 0) return Status(Code::invalid, "a sequence has nothing to learn in it");
    if (!objective_->needs_base()) continue;
    TRY(network_.evaluate(lines, nll, true));
    told[i].base = sum();
  }
  return told;
}

Result<double> Lesson::learn_compared(const Batches& batches, Progress& progress) {
  TextBatch batch;
  std::vector<float> nll;
  std::vector<double> slopes(size_t(objective_->sequences()));
  double loss = 0;
  for (int32_t group = 0; group < plan_.parts; ++group) {
    loss += objective_->weigh(TRY(look(batches, done_, group)), slopes) / plan_.parts;
    for (size_t i = 0; i < slopes.size(); ++i) {
      TRY(batches.fill(done_, group * objective_->sequences() + int32_t(i), batch));
      for (float& weight : batch.weights) weight *= float(slopes[i] / plan_.parts);
      nll.assign(batch.tokens.size(), 0);
      TRY(network_.learn({batch.tokens, batch.targets, batch.weights, batch.starts}, nll, *sink_));
      progress.tokens += int64_t(batch.tokens.size());
    }
  }
  return loss;
}

Result<double> Lesson::evaluate_compared(const Batches& batches, int32_t count) {
  std::vector<double> slopes(size_t(objective_->sequences()));
  double sum = 0;
  for (int32_t i = 0; i < count; ++i) {
    sum += objective_->weigh(TRY(look(batches, i / plan_.parts, i % plan_.parts)), slopes);
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace varve

// The gradient of a private step: of each example no more than the clip, and noise over the sum.
#include <algorithm>
#include <cmath>

#include "learn/grad/privacy.h"
#include "learn/tune/lesson.h"

namespace varve {

// The weights of each document become those of its mean loss, times what is left of its gradient. Returns how
// many there are, and adds their losses.
Result<int64_t> Lesson::clip_examples(TextBatch& batch, double& loss) {
  int64_t examples = 0;
  std::vector<float> nll;
  for (size_t i = 0; i < batch.starts.size(); ++i) {
    const auto first = size_t(batch.starts[i]);
    const size_t end = i + 1 < batch.starts.size() ? size_t(batch.starts[i + 1]) : batch.tokens.size();
    const auto weights = std::span(batch.weights).subspan(first, end - first);
    double whole = 0;
    for (float weight : weights) whole += double(weight);
    if (!(whole > 0)) continue;
    for (float& weight : weights) weight = float(double(weight) / whole);
    constexpr int32_t kFirst[] = {0};
    nll.assign(weights.size(), 0);
    const Lines example{std::span(batch.tokens).subspan(first, weights.size()),
                        std::span(batch.targets).subspan(first, weights.size()), weights, kFirst};
    const double size = std::sqrt(TRY(ghost_->measure(network_, example, nll)));
    if (!std::isfinite(size)) return not_finite();
    for (size_t j = 0; j < nll.size(); ++j) loss += double(weights[j]) * double(nll[j]);
    const double left = std::min(1.0, double(privacy_.clip) / std::max(size, 1e-30));
    for (float& weight : weights) weight = float(double(weight) * left);
    ++examples;
  }
  return examples;
}

Result<double> Lesson::learn_privately(const Batches& batches, Progress& progress) {
  TextBatch batch;
  std::vector<float> nll;
  double loss = 0;
  int64_t examples = 0;
  for (int32_t part = 0; part < plan_.parts; ++part) {
    TRY(batches.fill(done_, part, batch));
    if (batch.tokens.empty()) continue;
    examples += TRY(clip_examples(batch, loss));
    nll.assign(batch.tokens.size(), 0);
    TRY(network_.learn({batch.tokens, batch.targets, batch.weights, batch.starts}, nll, *sink_));
    progress.tokens += int64_t(batch.tokens.size());
  }
  if (examples == 0)
    return Status(Code::invalid, "there is nothing to learn in step " + std::to_string(done_ + 1));
  add_noise(examples);
  return loss / double(examples);
}

void Lesson::add_noise(int64_t examples) {
  const RngKey key{plan_.seed, uint64_t(done_ + 1), Site::privacy};
  const double size = double(privacy_.noise) * double(privacy_.clip);
  pool_->run(int64_t(layout_.units().size()), [&](int64_t index) {
    const StepUnit& unit = layout_.units()[size_t(index)];
    const auto gradient = sink_->of(*unit.part).subspan(size_t(unit.first), size_t(unit.shape.size()));
    const auto at = uint64_t(parts_.offset(*unit.part) + unit.first);
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = float((double(gradient[i]) + size * random_normal(key, at + i)) / double(examples));
    }
  });
}

}  // namespace varve

// Whose turn it is to learn: the rooms for gradients and states go from layer to layer.
#include <algorithm>
#include <cmath>

#include "learn/tune/lesson.h"
#include "math/kernel/kernel.h"

namespace varve {

Status Lesson::choose(const Batches& batches) {
  std::vector<uint8_t> live(size_t(layout_.layers()));
  const Occasion turn{done_ + 1, plan_.seed,
                      [&](std::span<const uint8_t> loud) { return ask(batches, loud); }};
  TRY(selector_->choose(turn, selector_state(), live));
  std::vector<int32_t> regions(live.size(), -1);
  int32_t learning = 0;
  for (size_t i = 0; i < live.size(); ++i) {
    if (live[i]) regions[i] = learning++;
  }
  CHECK(learning <= selector_->most(layout_.layers()), "no more layers than there is room for");
  sink_->regions(regions);
  for (size_t i = 0; i < live.size(); ++i) {
    if (!live[i] && !selector_->keeps_state()) slots()[i] = steps()[i] = 0;
  }
  for (size_t i = 0; i < live.size(); ++i) {
    if (live[i] && slots()[i] == 0) settle(i);
    steps()[i] += live[i];
  }
  return {};
}

// The lowest free slot, emptied. Where states stay, each layer has its own from the beginning.
void Lesson::settle(size_t layer) {
  const auto taken = slots();
  int64_t slot = 1;
  while (!selector_->keeps_state() && std::find(taken.begin(), taken.end(), slot) != taken.end()) ++slot;
  taken[layer] = slot;
  const auto room =
      state_.bytes().subspan(size_t(layout_.slot_at(int32_t(slot) - 1)), size_t(layout_.slot_bytes()));
  std::fill(room.begin(), room.end(), std::byte(0));
}

// By a power of two, so that turned up again they are what they were.
Result<double> Lesson::ask(const Batches& batches, std::span<const uint8_t> loud) {
  auto turn_down = [&](float factor) {
    for (size_t i = 0; i < parts_.size(); ++i) {
      const Part& part = parts_[i];
      const int32_t layer = layout_.layer_of(part);
      if (layer < 0 || loud[size_t(layer)] || !part.role.ends_with(".lora_b")) continue;
      kernels().scale(part.value.data(), factor, part.value.size());
    }
  };
  TextBatch batch;
  TRY(batches.fill(done_, 0, batch));
  std::vector<float> nll(batch.tokens.size());
  turn_down(0.25f);
  const Status status = network_.evaluate({batch.tokens, batch.targets, batch.weights, batch.starts}, nll);
  turn_down(4);
  if (!status.ok()) return Status(Code::invalid, status.text());
  double sum = 0, targets = 0;
  for (size_t i = 0; i < nll.size(); ++i) {
    sum += double(batch.weights[i]) * double(nll[i]), targets += double(batch.weights[i]);
  }
  return targets > 0 ? sum / targets : 0;
}

void Lesson::tell_moves() {
  std::vector<double> moved(size_t(layout_.layers())), size(moved.size()), by(moved.size(), -1);
  for (size_t i = 0; i < layout_.units().size(); ++i) {
    const int32_t layer = layout_.layer_of(*layout_.units()[i].part);
    if (layer < 0) continue;
    moved[size_t(layer)] += moved_[i].first, size[size_t(layer)] += moved_[i].second;
  }
  for (size_t i = 0; i < by.size(); ++i) {
    if (sink_->learns(int32_t(i))) by[i] = std::sqrt(moved[i] / std::max(size[i], 1e-30));
  }
  moves_(by);
}

}  // namespace varve

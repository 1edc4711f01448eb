#include "learn/tune/layout.h"

#include <algorithm>
#include <charconv>

namespace varve {
namespace {

int32_t layer_in(std::string_view role, int32_t layers) {
  constexpr std::string_view kBlock = "blk.";
  int32_t layer = -1;
  if (role.starts_with(kBlock))
    std::from_chars(role.data() + kBlock.size(), role.data() + role.size(), layer);
  return layer < layers ? layer : -1;
}

}  // namespace

Layout::Layout(const Parts& parts, const Optimizer& rule, int32_t layers, const Selector* selector,
               bool fused)
    : layers_(layers),
      regions_(fused                 ? 1
               : selector != nullptr ? selector->most(layers)
                                     : layers),
      slots_(selector != nullptr && !selector->keeps_state() ? selector->most(layers) : layers),
      shared_gradients_(regions_ < layers),
      shared_state_(slots_ < layers) {
  for (size_t i = 0; i < parts.size(); ++i) layer_.push_back(layer_in(parts[i].role, layers));
  place_gradients(parts);
  place_states(parts, rule);
  // For each layer its slot and its steps, then what the selector knows.
  if (selector != nullptr && selector->moves({})) room_ += widest_unit();
  if (selector != nullptr) tail_bytes_ = 16 * layers + (selector->state_bytes(layers) + 63) / 64 * 64;
}

int64_t Layout::widest_unit() const {
  int64_t most = 0;
  for (const StepUnit& unit : units_) most = std::max(most, unit.shape.size() * 4);
  return most;
}

// What of each layer comes one after another; `room` is what the widest takes.
void Layout::place_gradients(const Parts& parts) {
  if (!shared_gradients_) {
    for (size_t i = 0; i < parts.size(); ++i) gradient_.push_back(parts.offset(parts[i]));
    gradients_ = parts.values();
    return;
  }
  std::vector<int64_t> used(size_t(layers_) + 1);
  for (size_t i = 0; i < parts.size(); ++i) {
    int64_t& at = used[size_t(layer_[i] + 1)];
    gradient_.push_back(at);
    at += (parts[i].size() + 15) / 16 * 16;
  }
  region_values_ = *std::max_element(used.begin() + 1, used.end());
  gradients_ = regions_ * region_values_ + used[0];
}

int64_t Layout::gradient_at(const Part& part, int32_t region) const {
  const int64_t at = gradient_[size_t(part.index)];
  if (!shared_gradients_) return at;
  return at + (layer_of(part) < 0 ? regions_ : region) * region_values_;
}

void Layout::place_states(const Parts& parts, const Optimizer& rule) {
  std::vector<int64_t> used(size_t(layers_) + 1);
  auto add = [&](const Part& part, ParamShape shape, int64_t first, int64_t settles = 0) {
    const int64_t bytes = (rule.state_bytes(shape) + 63) / 64 * 64;
    int64_t& at = used[shared_state_ ? size_t(layer_of(part) + 1) : 0];
    units_.push_back({&part, shape, first, at, bytes, settles});
    at += bytes;
    room_ = std::max(room_, rule.work_bytes(shape));
  };
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    if (!rule.element_by_element()) {
      add(part, {part.rows, part.cols}, 0);
      continue;
    }
    for (int64_t row = 0; part.settles > 0 && row < part.rows; ++row) {  // the last settles first
      add(part, {1, part.cols}, row * part.cols,
          std::max<int64_t>(1, part.settles * (part.rows - row) / part.rows));
    }
    for (int64_t first = 0; part.settles == 0 && first < part.size(); first += Optimizer::kRun) {
      add(part, {1, int32_t(std::min<int64_t>(Optimizer::kRun, part.size() - first))}, first);
    }
  }
  if (shared_state_) slot_bytes_ = *std::max_element(used.begin() + 1, used.end());
  tail_ = slots_ * slot_bytes_ + used[0];
}

int64_t Layout::state_at(const StepUnit& unit, int32_t slot) const {
  if (!shared_state_) return unit.state;
  return unit.state + (layer_of(*unit.part) < 0 ? slots_ : slot) * slot_bytes_;
}

Result<Gradients> Gradients::make(const Parts& parts, const Layout& layout, Ledger& ledger) {
  Gradients sink(layout);
  sink.buffer_ = TRY(Buffer::make(ledger, Tag::gradients, layout.gradient_values() * 4));
  for (size_t i = 0; i < parts.size(); ++i) sink.only_layers_ &= layout.layer_of(parts[i]) >= 0;
  for (int32_t layer = 0; layer < layout.layers(); ++layer)
    sink.region_.push_back(std::min(layer, layout.regions() - 1));
  return sink;
}

std::span<float> Gradients::of(const Part& part) {
  const int32_t layer = layout_->layer_of(part);
  const int64_t at = layout_->gradient_at(part, layer < 0 ? 0 : region_[size_t(layer)]);
  return std::span(reinterpret_cast<float*>(buffer_.bytes().data()) + at, size_t(part.size()));
}

void Gradients::clear() {
  std::fill(buffer_.bytes().begin(), buffer_.bytes().end(), std::byte(0));
}

int32_t Gradients::lowest() const {
  if (!only_layers_) return 0;
  const auto found = std::find_if(region_.begin(), region_.end(), [](int32_t region) { return region >= 0; });
  return int32_t(found - region_.begin());
}

Status Gradients::take(TrainOps& train, const Part& part, int32_t first_row, Rows x, Rows d) {
  if (!learns(part)) return {};
  const int64_t begin = int64_t(first_row) * part.cols, count = int64_t(d.width()) * part.cols;
  train.outer_add(d, x, of(part).subspan(size_t(begin), size_t(count)));
  return {};
}

Status Gradients::take_rows(TrainOps& train, const Part& part, std::span<const int32_t> rows, float factor,
                            Rows d) {
  if (learns(part)) train.scatter_add(d, rows, factor, of(part));
  return {};
}

Status Gradients::take_vector(const Part& part, std::span<const float> gradient) {
  if (!learns(part)) return {};
  const std::span<float> sum = of(part);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += gradient[i];
  return {};
}

}  // namespace varve

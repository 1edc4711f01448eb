// Layout: where the gradient and the optimizer's state of each part lie. Layers that do not learn at the same
// time share their room, those of a fused update a single one for gradients; what belongs to no layer has its
// own.
#pragma once

#include <vector>

#include "learn/grad/parts.h"
#include "learn/optim/optimizer.h"
#include "learn/select/selector.h"

namespace varve {

struct StepUnit {  // what the optimizer steps at once
  const Part* part;
  ParamShape shape;
  int64_t first;               // in the part
  int64_t state, state_bytes;  // in the state of its layer, or of what belongs to none
  int64_t settles = 0;         // the last step that moves it; 0: all do
};

class Layout {
 public:
  // `selector` may be null. A part of "blk.3.ffn_down" belongs to layer 3.
  Layout(const Parts& parts, const Optimizer& rule, int32_t layers, const Selector* selector, bool fused);

  const std::vector<StepUnit>& units() const { return units_; }
  int32_t layers() const { return layers_; }
  int32_t layer_of(const Part& part) const { return layer_[size_t(part.index)]; }  // -1: none
  int32_t regions() const {
    return regions_;
  }                                         // for gradients of layers; as many layers may have some at once
  int32_t slots() const { return slots_; }  // for states of layers

  int64_t gradient_values() const { return gradients_; }
  int64_t gradient_at(const Part& part, int32_t region) const;
  // The state: slots, what belongs to no layer, then what the selection itself remembers.
  int64_t state_bytes() const { return tail_ + tail_bytes_; }
  int64_t state_at(const StepUnit& unit, int32_t slot) const;
  int64_t slot_at(int32_t slot) const { return shared_state_ ? slot * slot_bytes_ : 0; }
  int64_t slot_bytes() const { return slot_bytes_; }
  int64_t tail() const { return tail_; }
  int64_t room() const { return room_; }  // bytes that the rule works in, at most

 private:
  int64_t widest_unit() const;
  void place_gradients(const Parts& parts);
  void place_states(const Parts& parts, const Optimizer& rule);
  int32_t layers_, regions_, slots_;
  bool shared_gradients_, shared_state_;
  std::vector<int32_t> layer_;
  std::vector<int64_t> gradient_;  // of a part: in its region, or in all
  std::vector<StepUnit> units_;
  int64_t region_values_ = 0, gradients_ = 0, slot_bytes_ = 0, tail_ = 0, tail_bytes_ = 0, room_ = 0;
};

// Keeps gradients as the layout says, of the parts that learn now; a layer that is done is told to whoever
// wants to know.
class Gradients : public Sink {
 public:
  static Result<Gradients> make(const Parts& parts, const Layout& layout, Ledger& ledger);
  void regions(std::span<const int32_t> of_layers) { region_.assign(of_layers.begin(), of_layers.end()); }
  std::function<Status(int32_t layer)> on_done;

  bool learns(int32_t layer) const { return layer < 0 || region_[size_t(layer)] >= 0; }
  bool learns(const Part& part) const { return learns(layout_->layer_of(part)); }
  std::span<float> of(const Part& part);
  void clear();
  Status take(TrainOps& train, const Part& part, int32_t first_row, Rows x, Rows d) override;
  Status take_rows(TrainOps& train, const Part& part, std::span<const int32_t> rows, float factor,
                   Rows d) override;
  Status take_vector(const Part& part, std::span<const float> gradient) override;
  Status done(int32_t layer) override { return on_done ? on_done(layer) : Status(); }
  int32_t lowest() const override;

 private:
  explicit Gradients(const Layout& layout) : layout_(&layout) {}
  const Layout* layout_;
  bool only_layers_ = true;  // nothing learns outside of them
  std::vector<int32_t> region_;
  Buffer buffer_;
};

}  // namespace varve

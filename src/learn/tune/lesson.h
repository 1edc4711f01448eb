// Lesson: one training run. It owns gradients, the optimizer's state and the schedule; what it does is a
// function of its plan, the batches and the values it began with, so that stopping and going on changes no
// bit.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "core/format/json.h"
#include "learn/data/batches.h"
#include "learn/grad/network.h"
#include "learn/grad/parts.h"
#include "learn/grad/privacy.h"
#include "learn/objective/objective.h"
#include "learn/optim/optimizer.h"
#include "learn/tune/layout.h"
#include "learn/tune/rooms.h"
#include "learn/tune/zeroth.h"

namespace varve {

struct LessonPlan {
  std::string optimizer = "adamw";       // a spec of optimizers()
  float rate = 1e-3f, last_rate = 0.1f;  // the last as a part of `rate`: a cosine leads there
  float decay = 0.1f;                    // of matrices
  float clip = 1;                        // largest norm of all gradients together; 0: none
  int64_t steps = 1000, warmup = 100;
  int32_t parts = 1;              // batches a step, or pairs
  std::string objective = "sft";  // a spec of objectives()
  std::string selector;           // a spec of selectors(); empty: all layers learn
  // Empty: all of a step together. fused: of a layer, used and gone. dp: of each example no more than a clip,
  // with noise. mezo: none, two losses instead; zo2: the same with weights in a file.
  std::string gradient;
  int64_t cool = -1;  // steps of a straight way down at the end, after a constant rate; -1: the cosine
  uint64_t seed = 1;
  KeepMode keep = KeepMode::hold;
  float recompute = 0;         // of what hold and spill keep, the share of rows that is played again
  std::string slots = "bf16";  // how what is kept is encoded
  TrainOps::Precision precision = TrainOps::Precision::bf16;

  Status read_keep(std::string_view text);  // hold, recompute or spill; "spill:recompute=0.5"
  float rate_at(int64_t step) const;        // 1 is the first
  Json json() const;                        // what of it the values depend on
};

// By class, to the byte, before anything is booked.
struct LessonBytes {
  int64_t weights = 0;  // that learn
  int64_t gradients = 0, optimizer = 0, activations = 0, working = 0, spilled = 0;
  int64_t logits = 0;  // a part of working
  int64_t total() const { return weights + gradients + optimizer + activations + working; }
};

struct Progress {
  int64_t step = 0, tokens = 0;  // tokens that were learnt from, in this step
  double loss = 0, norm = 0;     // mean over those, or over pairs; of the gradients, before clipping
};

class Lesson {
 public:
  // The parts of the network, allocated or not. invalid: an unknown optimizer or slot format.
  static Result<LessonBytes> bytes(const Network& network, const Parts& parts, const LessonPlan& plan,
                                   int32_t rows, int threads = 1);
  // Books everything; over_budget comes here or never. invalid: an objective that compares with the model as
  // it was, where that itself learns; or parts that settle row by row, by a rule that steps whole matrices.
  // Network and parts must outlive it.
  static Result<std::unique_ptr<Lesson>> make(Network& network, Parts& parts, LessonPlan plan, int32_t rows,
                                              ThreadPool& pool, Ledger& ledger,
                                              std::unique_ptr<File> spill = nullptr);

  int64_t done() const { return done_; }
  const LessonPlan& plan() const { return plan_; }
  // invalid when the loss or a gradient is no number: nothing was changed by that step.
  Result<Progress> step(const Batches& batches);
  // Null: it is not private.
  const Privacy* privacy() const { return ghost_ ? &privacy_ : nullptr; }
  // What a loss of the parts themselves adds to their gradients, once a step.
  using Gradient = std::function<std::span<float>(const Part& part)>;
  // An empty gradient: the part does not learn now. invalid: a fused update, which has none to add to.
  Status regularise(std::function<void(const Gradient&)> by);
  // The gradients of the next step, which is not taken. invalid: a lesson that never has all of them.
  Status gradients(const Batches& batches,
                   const std::function<void(const Part&, std::span<const float>)>& visit);
  TrainOps& train() { return train_; }
  // Mean loss over the first `count` batches, or pairs.
  Result<double> evaluate(const Batches& batches, int32_t count);

  // Values, state and place in one file, replaced as a whole: when anything fails the old one stays.
  Status save(Env& env, const std::string& path, const Json& beside) const;
  // conflict: the file is of another plan or other parts; corrupt: it is damaged. Returns what was put
  // beside.
  Result<Json> load(Env& env, const std::string& path);
  // The next stage of another lesson: its values, place and, where the optimizer is the same, state.
  Status follow(Env& env, const std::string& path);

 private:
  Lesson(Network& network, Parts& parts, LessonPlan plan, TrainOps train, Layout layout)
      : network_(network),
        parts_(parts),
        plan_(std::move(plan)),
        train_(std::move(train)),
        layout_(std::move(layout)) {}
  struct Method;  // what a plan names, made
  static Result<Method> method(const Network& network, const Parts& parts, const LessonPlan& plan);
  bool fused() const { return plan_.gradient == "fused"; }
  Result<double> learn(const Batches& batches, Progress& progress);
  Result<double> learn_compared(const Batches& batches, Progress& progress);
  Result<double> learn_privately(const Batches& batches, Progress& progress);
  Result<int64_t> clip_examples(TextBatch& batch, double& loss);
  void add_noise(int64_t examples);
  Result<double> evaluate_compared(const Batches& batches, int32_t count);
  Result<std::vector<Likelihood>> look(const Batches& batches, int64_t step, int32_t group);
  Status choose(const Batches& batches);
  void settle(size_t layer);
  Result<double> ask(const Batches& batches, std::span<const uint8_t> loud);
  void tell_moves();
  std::span<std::byte> tail() { return state_.bytes().subspan(size_t(layout_.tail())); }
  // Of a layer, 0 for one that has none now, else one more than its slot; and its steps since it got it.
  std::span<int64_t> slots() { return {reinterpret_cast<int64_t*>(tail().data()), size_t(layout_.layers())}; }
  std::span<int64_t> steps() {
    return {slots().data() + layout_.layers(), size_t(selector_ ? layout_.layers() : 0)};
  }
  std::span<std::byte> selector_state() {
    return tail().subspan(size_t(16 * layout_.layers()), size_t(selector_->state_bytes(layout_.layers())));
  }

  Status likelihood(const Lines& lines, std::span<float> nll);
  Result<Progress> step_zeroth(const Batches& batches);
  Result<Progress> step_whole(const Batches& batches);
  Result<Progress> step_fused(const Batches& batches);
  Status measure(int32_t layer);  // the squares of its gradients; -1: of what belongs to none
  Status apply(int32_t layer, float scale);
  Status not_finite();
  enum : int32_t { kAll = -2 };
  std::vector<size_t> units_of(int32_t layer) const;
  void step_unit(size_t unit, float scale, std::span<float> room);
  void clear(int32_t layer);
  double norm() const;
  float clipped(double norm) const {
    return plan_.clip > 0 && norm > double(plan_.clip) ? float(double(plan_.clip) / norm) : 1;
  }
  Json header(const Json& beside) const;
  Result<Json> read(Env& env, const std::string& path, bool same_plan);

  Network& network_;
  Parts& parts_;
  LessonPlan plan_;
  TrainOps train_;
  Layout layout_;
  std::unique_ptr<Gradients> sink_;
  ThreadPool* pool_ = nullptr;
  std::unique_ptr<Optimizer> rule_;
  std::unique_ptr<Objective> objective_;
  std::function<void(const Gradient&)> regularise_;
  std::unique_ptr<Selector> selector_;  // null: all layers learn
  std::function<void(std::span<const double>)> moves_;
  std::vector<double> squares_;                   // of each unit's gradient
  std::vector<std::pair<double, double>> moved_;  // of each unit: how far, and how large it was, squared
  std::unique_ptr<Zeroth> zeroth_;                // null: gradients
  float reach_ = 0;
  Privacy privacy_;
  std::optional<GhostNorm> ghost_;  // empty: not private
  bool spoilt_ = false;             // a fused step broke off: some layers went on and some did not
  Rooms rooms_;                     // of the optimizer at work, one a thread
  Buffer state_;
  int64_t done_ = 0;
};

// Values of a fresh model: matrices from a normal distribution, those that write into the residual stream
// smaller by the depth; norms 1, biases 0.
void draw_values(Parts& parts, int32_t layers, uint64_t seed);

}  // namespace varve

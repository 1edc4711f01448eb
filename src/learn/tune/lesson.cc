#include "learn/tune/lesson.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "math/kernel/kernel.h"

namespace varve {

Result<KeepMode> read_keep_mode(std::string_view name) {
  if (name == "hold") return KeepMode::hold;
  if (name == "recompute") return KeepMode::recompute;
  if (name == "spill") return KeepMode::spill;
  return Status(Code::invalid, "activations are kept by hold, recompute or spill, not " + std::string(name));
}

float LessonPlan::rate_at(int64_t step) const {
  if (step <= warmup) return rate * float(step) / float(warmup);
  const double way = double(step - warmup) / double(std::max<int64_t>(1, steps - warmup));
  const double left = 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, way)));
  return float(double(rate) * (double(last_rate) + (1 - double(last_rate)) * left));
}

Json LessonPlan::json() const {
  Json json = Json::object();
  json.set("optimizer", optimizer).set("rate", double(rate)).set("last_rate", double(last_rate));
  json.set("decay", double(decay)).set("clip", double(clip)).set("steps", steps).set("warmup", warmup);
  json.set("parts", int64_t(parts)).set("seed", int64_t(seed)).set("slots", slots);
  if (objective != "sft") json.set("objective", objective);
  json.set("exact", precision == TrainOps::Precision::exact);
  return json;
}

std::vector<Lesson::Unit> Lesson::units(const Parts& parts, const Optimizer& rule) {
  std::vector<Unit> all;
  int64_t state = 0;
  auto add = [&](const Part& part, ParamShape shape, int64_t first) {
    const int64_t bytes = (rule.state_bytes(shape) + 63) / 64 * 64;
    all.push_back({&part, shape, first, state, bytes});
    state += bytes;
  };
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    if (!rule.element_by_element()) {
      add(part, {part.rows, part.cols}, 0);
      continue;
    }
    for (int64_t first = 0; first < part.size(); first += Optimizer::kRun) {
      add(part, {1, int32_t(std::min<int64_t>(Optimizer::kRun, part.size() - first))}, first);
    }
  }
  return all;
}

int64_t Lesson::room(std::span<const Unit> units, const Optimizer& rule) {
  int64_t most = 0;
  for (const Unit& unit : units) most = std::max(most, rule.work_bytes(unit.shape));
  return most;
}

Result<LessonBytes> Lesson::bytes(const Network& network, const Parts& parts, const LessonPlan& plan,
                                  int32_t rows, int threads) {
  const auto rule = TRY(optimizers().make(plan.optimizer));
  const Codec& codec = *TRY(codec_named(plan.slots));
  const auto layers = int32_t(network.spec().layers.size());
  const NetworkBytes needed =
      TRY(network.bytes(plan_layers(network.score(), layers, rows, plan.keep, codec)));
  LessonBytes bytes{.weights = parts.values() * 4, .gradients = parts.values() * 4};
  const std::vector<Unit> all = units(parts, *rule);
  for (const Unit& unit : all) bytes.optimizer += unit.state_bytes;
  bytes.activations = needed.kept, bytes.spilled = needed.spilled, bytes.logits = needed.logits;
  bytes.working = needed.working + TrainOps::work_bytes() + Rooms::bytes(room(all, *rule), threads);
  return bytes;
}

namespace {
Status check_base(const Parts& parts, const LessonPlan& plan) {
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].over_base) continue;
    return Status(Code::invalid, "the objective " + plan.objective + " compares with the model as it was, " +
                                     "and here " + parts[i].role +
                                     " itself learns: learn an adapter, or name "
                                     "simpo");
  }
  return {};
}
}  // namespace

Result<std::unique_ptr<Lesson>> Lesson::make(Network& network, Parts& parts, LessonPlan plan, int32_t rows,
                                             ThreadPool& pool, Ledger& ledger, std::unique_ptr<File> spill) {
  auto rule = TRY(optimizers().make(plan.optimizer));
  auto objective = TRY(objectives().make(plan.objective));
  if (objective->needs_base()) TRY(check_base(parts, plan));
  const Codec& codec = *TRY(codec_named(plan.slots));
  TrainOps train = TRY(TrainOps::make(pool, ledger, plan.precision));
  Accumulate sink = TRY(Accumulate::make(parts, ledger));
  std::unique_ptr<Lesson> lesson(
      new Lesson(network, parts, std::move(plan), std::move(train), std::move(sink)));
  lesson->pool_ = &pool;
  lesson->units_ = units(parts, *rule);
  TRY(lesson->rooms_.make(ledger, room(lesson->units_, *rule), pool.threads()));
  lesson->rule_ = std::move(rule), lesson->objective_ = std::move(objective);
  const int64_t state =
      lesson->units_.empty() ? 0 : lesson->units_.back().state + lesson->units_.back().state_bytes;
  lesson->state_ = TRY(Buffer::make(ledger, Tag::optimizer, state));
  const auto layers = int32_t(network.spec().layers.size());
  TRY(network.prepare(plan_layers(network.score(), layers, rows, lesson->plan_.keep, codec), lesson->train_,
                      ledger, std::move(spill)));
  return lesson;
}

// The slopes of the mean loss over all targets of the step: the parts are read once for their number.
Result<double> Lesson::learn(const Batches& batches, Progress& progress) {
  if (objective_->looks_first()) return learn_compared(batches, progress);
  TextBatch batch;
  double targets = 0, loss = 0;
  for (int32_t part = 0; part < plan_.parts; ++part) {
    TRY(batches.fill(done_, part, batch));
    for (float weight : batch.weights) targets += double(weight);
    progress.tokens += int64_t(batch.tokens.size());
  }
  if (!(targets > 0))
    return Status(Code::invalid, "there is nothing to learn in step " + std::to_string(done_ + 1));
  std::vector<float> nll;
  for (int32_t part = 0; part < plan_.parts; ++part) {
    TRY(batches.fill(done_, part, batch));
    if (batch.tokens.empty()) continue;
    for (float& weight : batch.weights) weight = float(double(weight) / targets);
    nll.assign(batch.tokens.size(), 0);
    TRY(network_.learn({batch.tokens, batch.targets, batch.weights, batch.starts}, nll, sink_));
    for (size_t i = 0; i < nll.size(); ++i) loss += double(batch.weights[i]) * double(nll[i]);
  }
  return loss;
}

Result<double> Lesson::norm() {
  std::vector<double> squares(units_.size());
  pool_->run(int64_t(units_.size()), [&](int64_t i) {
    const Unit& unit = units_[size_t(i)];
    squares[size_t(i)] =
        kernels().squares(sink_.of(*unit.part).data() + unit.first, 0, size_t(unit.shape.size()));
  });
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

void Lesson::apply(float scale) {
  const float rate = plan_.rate_at(done_ + 1);
  pool_->run(int64_t(units_.size()), [&](int64_t i) {
    const Unit& unit = units_[size_t(i)];
    const auto n = size_t(unit.shape.size());
    const auto gradient = sink_.of(*unit.part).subspan(size_t(unit.first), n);
    if (scale != 1) kernels().scale(gradient.data(), scale, n);
    const Rooms::Room room(rooms_);
    rule_->step(unit.shape, unit.part->value.subspan(size_t(unit.first), n), gradient,
                state_.bytes().subspan(size_t(unit.state), size_t(unit.state_bytes)),
                {.step = done_ + 1,
                 .rate = rate,
                 .decay = unit.part->rows > 1 ? plan_.decay : 0,
                 .seed = plan_.seed,
                 .place = uint64_t(i),
                 .work = room.floats()});
    std::fill(gradient.begin(), gradient.end(), 0.f);
  });
}

Result<Progress> Lesson::step(const Batches& batches) {
  Progress progress{.step = done_ + 1};
  auto loss = learn(batches, progress);
  if (!loss.ok()) {
    std::fill(sink_.all().begin(), sink_.all().end(), 0.f);
    return std::move(loss).status();
  }
  progress.loss = *loss, progress.norm = TRY(norm());
  if (!std::isfinite(progress.loss) || !std::isfinite(progress.norm)) {
    std::fill(sink_.all().begin(), sink_.all().end(), 0.f);
    return Status(Code::invalid,
                  "step " + std::to_string(done_ + 1) +
                      " has no finite loss or gradient: lower the rate and go on from the last "
                      "checkpoint");
  }
  apply(plan_.clip > 0 && progress.norm > double(plan_.clip) ? float(double(plan_.clip) / progress.norm) : 1);
  ++done_;
  return progress;
}

Result<double> Lesson::evaluate(const Batches& batches, int32_t count) {
  if (objective_->looks_first()) return evaluate_compared(batches, count);
  TextBatch batch;
  std::vector<float> nll;
  double sum = 0, targets = 0;
  for (int32_t i = 0; i < count; ++i) {
    TRY(batches.fill(i, 0, batch));
    nll.assign(batch.tokens.size(), 0);
    TRY(network_.evaluate({batch.tokens, batch.targets, batch.weights, batch.starts}, nll));
    for (size_t j = 0; j < nll.size(); ++j) {
      sum += double(batch.weights[j]) * double(nll[j]);
      targets += double(batch.weights[j]);
    }
  }
  return targets > 0 ? sum / targets : 0;
}

void draw_values(Parts& parts, int32_t layers, uint64_t seed) {
  for (size_t i = 0; i < parts.size(); ++i) {
    Part& part = parts[i];
    const bool residual = part.role.ends_with("attn_output") || part.role.ends_with("ffn_down");
    const double size = 0.02 / (residual ? std::sqrt(2.0 * layers) : 1);
    const RngKey key{seed, i, Site::init};
    for (size_t j = 0; j < part.value.size(); ++j) {
      part.value[j] = part.rows > 1                 ? float(size * random_normal(key, j))
                      : part.role.ends_with("norm") ? 1.f
                                                    : 0.f;
    }
  }
}

void draw_low_rank(Parts& parts, uint64_t seed) {
  for (size_t i = 0; i < parts.size(); ++i) {
    Part& part = parts[i];
    const bool drawn = part.role.ends_with(".lora_a");
    const double size = std::sqrt(1.0 / (3.0 * part.cols)) * std::numbers::sqrt3;
    for (size_t j = 0; j < part.value.size(); ++j) {
      part.value[j] = drawn ? float(size * (2 * random_unit({seed, i, Site::init}, j) - 1)) : 0.f;
    }
  }
}

}  // namespace varve

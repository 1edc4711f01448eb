#include "learn/tune/lesson.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "math/kernel/kernel.h"

namespace varve {

Status LessonPlan::read_keep(std::string_view text) {
  const Spec spec = TRY(parse_spec(text));
  recompute = 0;
  if (spec.name == "recompute") return keep = KeepMode::recompute, OptionReader(spec).done();
  if (spec.name != "hold" && spec.name != "spill") {
    return Status(Code::invalid, "activations are kept by hold, recompute or spill, not " + spec.name);
  }
  keep = spec.name == "hold" ? KeepMode::hold : KeepMode::spill;
  return OptionReader(spec).read("recompute", recompute, 0.f, 1.f).done();
}

float LessonPlan::rate_at(int64_t step) const {
  if (step <= warmup) return rate * float(step) / float(warmup);
  if (cool >= 0) {
    const double left = cool == 0 ? 1 : double(steps - step + 1) / double(cool + 1);
    return float(double(rate) * (double(last_rate) + (1 - double(last_rate)) * std::clamp(left, 0.0, 1.0)));
  }
  const double way = double(step - warmup) / double(std::max<int64_t>(1, steps - warmup));
  const double left = 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, way)));
  return float(double(rate) * (double(last_rate) + (1 - double(last_rate)) * left));
}

Json LessonPlan::json() const {
  Json json = Json::object();
  json.set("optimizer", optimizer).set("rate", double(rate)).set("last_rate", double(last_rate));
  json.set("decay", double(decay)).set("clip", double(clip)).set("warmup", warmup);
  if (cool != 0) json.set("steps", steps);  // a lesson at a constant rate may be made longer
  if (cool >= 0) json.set("cool", cool);
  json.set("parts", int64_t(parts)).set("seed", int64_t(seed)).set("slots", slots);
  if (objective != "sft") json.set("objective", objective);
  if (!selector.empty()) json.set("selector", selector);
  if (!gradient.empty()) json.set("gradient", gradient);
  json.set("exact", precision == TrainOps::Precision::exact);
  return json;
}

namespace {
Status check_settling(const Parts& parts, const Optimizer& rule, const LessonPlan& plan) {
  const bool by_gradient =
      plan.gradient.empty() || plan.gradient == "fused" || plan.gradient.starts_with("dp");
  const bool whole = !rule.element_by_element() || !by_gradient;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].settles == 0 || !whole) continue;
    return Status(Code::invalid, parts[i].role + " is frozen row by row, and " +
                                     (plan.gradient.empty() ? plan.optimizer : plan.gradient) +
                                     " steps whole matrices: choose adamw or adam8");
  }
  return {};
}

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

struct Source {  // of steps
  std::string name;
  float reach = 1e-3f;
  Privacy privacy = {};
  bool dp() const { return name == "dp"; }
  bool zeroth() const { return name == "mezo" || name == "zo2"; }
};
Result<Source> source_of(const LessonPlan& plan) {
  if (plan.gradient.empty()) return Source{};
  const Spec spec = TRY(parse_spec(plan.gradient));
  Source source{spec.name};
  OptionReader reader(spec);
  if (source.zeroth()) reader.read("reach", source.reach, 1e-8f, 1.f);
  if (source.dp())
    reader.read("clip", source.privacy.clip, 1e-9f, 1e9f).read("noise", source.privacy.noise, 0.f, 1e3f);
  TRY(reader.done());
  if (!source.zeroth() && !source.dp() && spec.name != "fused")
    return Status(Code::not_found, "gradients are fused, dp, mezo or zo2, not " + spec.name);
  return source;
}

Status check_zeroth(const LessonPlan& plan, const Objective& objective, const Selector* selector) {
  if (!TRY(source_of(plan)).zeroth()) return {};
  const std::pair<bool, const char*> wrong[] = {
      {plan.optimizer != "sgd", "an optimizer but sgd"},
      {plan.clip != 0, "a clipped norm (--clip 0)"},
      {selector != nullptr, "a selector"},
      {objective.looks_first(), "an objective that compares answers"}};
  for (const auto& [is, what] : wrong) {
    if (is) return Status(Code::invalid, plan.gradient + " has no gradients, and so not " + what);
  }
  return {};
}

Status check_private(const LessonPlan& plan, const Objective& objective, const Selector* selector) {
  if (!TRY(source_of(plan)).dp()) return {};
  if (!objective.looks_first() && selector == nullptr) return {};
  return Status(Code::invalid, "private learning sees one example after the other, and so has no " +
                                   (selector != nullptr ? "selector" : "objective " + plan.objective));
}

// What cannot be had together is said, never left out.
Status check_together(const Parts& parts, const LessonPlan& plan, const Objective& objective,
                      const Selector* selector) {
  if (objective.needs_base()) TRY(check_base(parts, plan));
  TRY(check_zeroth(plan, objective, selector));
  TRY(check_private(plan, objective, selector));
  if (plan.gradient == "fused" && (plan.parts > 1 || objective.looks_first())) {
    return Status(Code::invalid,
                  std::string("a fused update steps within a batch and has no sum over several: ") +
                      "--parts 1 and objective sft, or a recipe that keeps gradients");
  }
  for (size_t i = 0; selector != nullptr && selector->asks() && i < parts.size(); ++i) {
    if (parts[i].role.ends_with(".lora_a") || parts[i].role.ends_with(".lora_b")) continue;
    return Status(Code::invalid, "the selector " + plan.selector +
                                     " turns low-rank adapters down to see what " + "they are worth, and " +
                                     parts[i].role + " is none");
  }
  return {};
}
}  // namespace

constexpr int64_t kFinding = 64;
static_assert(sizeof(Finding) <= kFinding);

namespace {
NetworkPlan network_plan(const Network& network, const LessonPlan& plan, int32_t rows, const Codec& codec) {
  const auto layers = int32_t(network.spec().layers.size());
  if (plan.gradient.starts_with("mezo") || plan.gradient.starts_with("zo2"))
    return {.rows = rows, .layers = std::vector<LayerPlan>(size_t(layers)), .passes = 2};
  return plan_layers(network.score(), layers, rows, plan.keep, codec, plan.recompute);
}
}  // namespace

struct Lesson::Method {
  std::unique_ptr<Optimizer> rule;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Selector> selector;
  Layout layout;
};

Result<Lesson::Method> Lesson::method(const Network& network, const Parts& parts, const LessonPlan& plan) {
  auto rule = TRY(optimizers().make(plan.optimizer));
  auto objective = TRY(objectives().make(plan.objective));
  std::unique_ptr<Selector> selector;
  if (!plan.selector.empty()) selector = TRY(selectors().make(plan.selector));
  TRY(check_together(parts, plan, *objective, selector.get()));
  TRY(check_settling(parts, *rule, plan));
  const auto layers = int32_t(network.spec().layers.size());
  Layout layout(parts, *rule, layers, selector.get(), plan.gradient == "fused");
  return Method{std::move(rule), std::move(objective), std::move(selector), std::move(layout)};
}

Result<LessonBytes> Lesson::bytes(const Network& network, const Parts& parts, const LessonPlan& plan,
                                  int32_t rows, int threads) {
  const Method made = TRY(method(network, parts, plan));
  const Codec& codec = *TRY(codec_named(plan.slots));
  const Source source = TRY(source_of(plan));
  const NetworkBytes needed = TRY(network.bytes(network_plan(network, plan, rows, codec)));
  LessonBytes bytes{.weights = (source.name == "zo2" ? 0 : parts.values() * 4) + parts.held_values() * 4};
  if (source.zeroth()) {
    bytes.weights += Zeroth::bytes(network, parts), bytes.optimizer = kFinding;
    bytes.logits = needed.logits, bytes.working = needed.working + TrainOps::work_bytes();
    return bytes;
  }
  bytes.gradients = made.layout.gradient_values() * 4, bytes.optimizer = made.layout.state_bytes();
  bytes.activations = needed.kept, bytes.spilled = needed.spilled, bytes.logits = needed.logits;
  bytes.working = needed.working + TrainOps::work_bytes() + Rooms::bytes(made.layout.room(), threads);
  if (source.dp()) bytes.working += GhostNorm::bytes(network, parts, rows);
  return bytes;
}

Result<std::unique_ptr<Lesson>> Lesson::make(Network& network, Parts& parts, LessonPlan plan, int32_t rows,
                                             ThreadPool& pool, Ledger& ledger, std::unique_ptr<File> spill) {
  Method made = TRY(method(network, parts, plan));
  const Codec& codec = *TRY(codec_named(plan.slots));
  TrainOps train = TRY(TrainOps::make(pool, ledger, plan.precision));
  std::unique_ptr<Lesson> lesson(
      new Lesson(network, parts, std::move(plan), std::move(train), std::move(made.layout)));
  const Layout& layout = lesson->layout_;
  lesson->pool_ = &pool;
  const Source source = TRY(source_of(lesson->plan_));
  if ((source.name == "zo2") != parts.streams())
    return Status(Code::invalid, "zo2, and only that, has weights that learn in a file");
  lesson->objective_ = std::move(made.objective);
  TRY(network.prepare(network_plan(network, lesson->plan_, rows, codec), lesson->train_, ledger,
                      std::move(spill)));
  if (source.zeroth()) {
    lesson->state_ = TRY(Buffer::make(ledger, Tag::optimizer, kFinding));
    lesson->reach_ = source.reach;
    lesson->zeroth_ = TRY(Zeroth::make(network, parts, {source.reach, lesson->plan_.seed}, pool, ledger));
    return lesson;
  }
  if (source.dp()) {
    lesson->privacy_ = source.privacy;
    lesson->ghost_.emplace(TRY(GhostNorm::make(network, parts, rows, ledger)));
  }
  lesson->sink_ = std::make_unique<Gradients>(TRY(Gradients::make(parts, layout, ledger)));
  lesson->state_ = TRY(Buffer::make(ledger, Tag::optimizer, layout.state_bytes()));
  lesson->squares_.resize(layout.units().size());
  TRY(lesson->rooms_.make(ledger, layout.room(), pool.threads()));
  lesson->rule_ = std::move(made.rule);
  lesson->selector_ = std::move(made.selector);
  if (lesson->selector_) lesson->moves_ = lesson->selector_->moves(lesson->selector_state());
  return lesson;
}

// The slopes of the mean loss over all targets of the step: the parts are read once for their number.
Result<double> Lesson::learn(const Batches& batches, Progress& progress) {
  if (objective_->looks_first()) return learn_compared(batches, progress);
  if (ghost_) return learn_privately(batches, progress);
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
    if (plan_.parts > 1) TRY(batches.fill(done_, part, batch));
    if (batch.tokens.empty()) continue;
    for (float& weight : batch.weights) weight = float(double(weight) / targets);
    nll.assign(batch.tokens.size(), 0);
    TRY(network_.learn({batch.tokens, batch.targets, batch.weights, batch.starts}, nll, *sink_));
    for (size_t i = 0; i < nll.size(); ++i) loss += double(batch.weights[i]) * double(nll[i]);
  }
  return loss;
}

Result<double> Lesson::evaluate(const Batches& batches, int32_t count) {
  if (objective_->looks_first()) return evaluate_compared(batches, count);
  TextBatch batch;
  std::vector<float> nll;
  double sum = 0, targets = 0;
  for (int32_t i = 0; i < count; ++i) {
    TRY(batches.fill(i, 0, batch));
    nll.assign(batch.tokens.size(), 0);
    TRY(likelihood({batch.tokens, batch.targets, batch.weights, batch.starts}, nll));
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
    const bool residual = part.role.ends_with("attn_output") || part.role.find("ffn_down") != part.role.npos;
    const double size = 0.02 / (residual ? std::sqrt(2.0 * layers) : 1);
    const RngKey key{seed, i, Site::init};
    for (size_t j = 0; j < part.value.size(); ++j) {
      part.value[j] = part.rows > 1                 ? float(size * random_normal(key, j))
                      : part.role.ends_with("norm") ? 1.f
                                                    : 0.f;
    }
  }
}

}  // namespace varve

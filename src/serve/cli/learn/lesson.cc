#include "serve/cli/learn/lesson.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ostream>

#include "serve/cli/terminal/terminal.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

using Clock = std::chrono::steady_clock;

std::string in_time(double seconds) {
  char text[32];
  const int64_t whole = int64_t(seconds);
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lldh%02lldm", (long long)(whole / 3600), (long long)(whole / 60 % 60));
  } else {
    std::snprintf(text, sizeof text, "%lldm%02llds", (long long)(whole / 60), (long long)(whole % 60));
  }
  return text;
}

// Means since the last line.
class Report {
 public:
  Report(const LessonPlan& plan, bool json, std::ostream& out) : plan_(plan), json_(json), out_(out) {}

  void add(const Progress& progress) {
    loss_ += progress.loss, tokens_ += progress.tokens, ++steps_;
    const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    if (progress.step != plan_.steps && progress.step != 1 && seconds < 2) return;
    line(progress, seconds);
    loss_ = 0, tokens_ = 0, steps_ = 0, since_ = Clock::now();
  }

 private:
  void line(const Progress& progress, double seconds) {
    const double loss = loss_ / double(steps_), rate = double(tokens_) / seconds;
    const double left = seconds / double(steps_) * double(plan_.steps - progress.step);
    if (json_) {
      Json json = Json::object();
      json.set("step", progress.step).set("loss", loss).set("norm", progress.norm).set("tokens_per_s", rate);
      out_ << json.set("left_s", left).dump() << std::endl;
      return;
    }
    char text[160];
    std::snprintf(text, sizeof text, "step %lld/%lld  loss %.4f  norm %.2f  %.0f tokens/s  %s left",
                  (long long)progress.step, (long long)plan_.steps, loss, progress.norm, rate,
                  in_time(left).c_str());
    out_ << text << std::endl;
  }
  const LessonPlan& plan_;
  bool json_;
  std::ostream& out_;
  Clock::time_point since_ = Clock::now();
  double loss_ = 0;
  int64_t tokens_ = 0, steps_ = 0;
};

}  // namespace

Status read_lesson_options(Args& args, LessonOptions& options) {
  LessonPlan& plan = options.plan;
  // First the recipe, then what is said besides.
  if (auto text = TRY(args.value("--recipe"))) options.recipe = TRY(read_recipe(*text));
  TRY(set_plan(options.recipe, plan));
  TRY(args.number<int64_t>("--steps", plan.steps, 1, int64_t(1) << 40));
  plan.warmup = std::min<int64_t>(plan.warmup, plan.steps / 10);
  TRY(args.number<int64_t>("--warmup", plan.warmup, 0, int64_t(1) << 40));
  TRY(args.number<int64_t>("--cool", plan.cool, 0, int64_t(1) << 40));
  TRY(args.number<float>("--rate", plan.rate, 1e-9f, 100));
  TRY(args.number<float>("--decay", plan.decay, 0, 10));
  TRY(args.number<float>("--clip", plan.clip, 0, 1e9f));
  TRY(args.number<uint64_t>("--seed", plan.seed, 0, UINT64_MAX));
  TRY(args.number<int32_t>("--parts", plan.parts, 1, 1 << 20));
  TRY(args.number<int32_t>("--length", options.length, 2, 1 << 20));
  TRY(args.number<int32_t>("--sequences", options.sequences, 1, 1 << 20));
  TRY(args.number<int32_t>("--threads", options.threads, 1, 1024));
  TRY(args.number<int64_t>("--save-every", options.save_every, 1, int64_t(1) << 40));
  if (auto text = TRY(args.value("--keep"))) TRY(plan.read_keep(*text).with("reading --keep"));
  if (auto text = TRY(args.value("--optimizer"))) plan.optimizer = *text;
  if (auto text = TRY(args.value("--selector"))) plan.selector = *text;
  if (auto text = TRY(args.value("--gradient"))) plan.gradient = *text;
  if (auto text = TRY(args.value("--objective"))) plan.objective = *text;
  if (auto text = TRY(args.value("--slots"))) plan.slots = *text;
  if (auto text = TRY(args.value("--budget"))) options.budget_bytes = TRY(parse_bytes(*text));
  options.plan_only = args.flag("--plan");
  options.fresh = args.flag("--fresh");
  options.json = args.flag("--json");
  TRY(optimizers().make(plan.optimizer).status().with("reading --optimizer"));
  TRY(objectives().make(plan.objective).status().with("reading --objective"));
  return codec_named(plan.slots).status().with("reading --slots");
}

void print_bytes(const LessonBytes& bytes, int64_t base, const LessonOptions& options, Console& console) {
  const std::pair<const char*, int64_t> rows[] = {{"base model", base},
                                                  {"weights that learn", bytes.weights},
                                                  {"gradients", bytes.gradients},
                                                  {"optimizer state", bytes.optimizer},
                                                  {"activations kept", bytes.activations},
                                                  {"working set", bytes.working},
                                                  {"  of it logits", bytes.logits},
                                                  {"spilled to disk", bytes.spilled},
                                                  {"together, in memory", base + bytes.total()}};
  if (options.json) {
    Json json = Json::object();
    for (const auto& [name, value] : rows) json.set(name, value);
    console.out << json.dump() << "\n";
    return;
  }
  for (const auto& [name, value] : rows) {
    if (value == 0) continue;
    char line[96];
    std::snprintf(line, sizeof line, "%-22s %14lld  %10s\n", name, (long long)value,
                  format_bytes(value).c_str());
    console.out << line;
  }
}

Status print_recipes(const Network& network, const Parts& parts, const LessonOptions& options, int32_t rows,
                     int64_t base, Console& console) {
  if (options.json) return {};
  console.out << "\nother recipes\n";
  for (const RecipeEntry& entry : recipes()) {
    if (entry.name == options.recipe.name || entry.recipe.form != parse_spec(options.recipe.form)->name)
      continue;
    LessonPlan plan = options.plan;
    TRY(set_plan(entry.recipe, plan));
    const auto bytes = Lesson::bytes(network, parts, plan, rows, options.threads);
    if (!bytes.ok()) continue;  // not together with what was asked for
    char line[96];
    std::snprintf(line, sizeof line, "%-22s %14lld  %10s\n", std::string(entry.name).c_str(),
                  (long long)(base + bytes->total()), format_bytes(base + bytes->total()).c_str());
    console.out << line;
  }
  return {};
}

Status check_budget(const Network& network, const Parts& parts, const LessonOptions& options, int32_t rows,
                    int64_t room) {
  const LessonBytes bytes = TRY(Lesson::bytes(network, parts, options.plan, rows, options.threads));
  if (bytes.total() <= room) return {};
  std::string hint;
  for (const auto& [keep, optimizer] : {std::pair("hold", "adam8"), std::pair("recompute", "adamw"),
                                        std::pair("recompute", "adam8"), std::pair("recompute", "signsgd")}) {
    LessonPlan other = options.plan;
    other.keep = std::string_view(keep) == "hold" ? KeepMode::hold : KeepMode::recompute,
    other.optimizer = optimizer;
    const int64_t total = TRY(Lesson::bytes(network, parts, other, rows, options.threads)).total();
    if (total > room) continue;
    hint = std::string("; --keep ") + keep + " --optimizer " + optimizer + " takes " + format_bytes(total);
    break;
  }
  for (int32_t length = options.length / 2; hint.empty() && length >= 16; length /= 2) {
    LessonPlan other = options.plan;
    other.keep = KeepMode::recompute;
    const int64_t total = TRY(Lesson::bytes(network, parts, other, length, options.threads)).total();
    if (total > room) continue;
    hint = "; --keep recompute --sequences 1 --length " + std::to_string(length) + " takes " +
           format_bytes(total);
  }
  return Status(
      Code::over_budget,
      "the lesson takes " + format_bytes(bytes.total()) + " and there are " +
          format_bytes(std::max<int64_t>(0, room)) +
          (hint.empty() ? "; a smaller rank, fewer roles with --on, or a smaller model take less" : hint));
}

Status run_lesson(Lesson& lesson, const Batches& batches, const LessonOptions& options,
                  const std::string& path, Console& console) {
  std::atomic<bool> stop = false;
  console.terminal.catch_interrupts({SIGINT, SIGTERM});
  InterruptWatch watch(
      console.terminal, [&] { stop = true; }, [] { _exit(130); });
  Report report(lesson.plan(), options.json, console.out);
  while (lesson.done() < lesson.plan().steps && !stop) {
    report.add(TRY(lesson.step(batches)));
    if (lesson.done() % options.save_every == 0) TRY(lesson.save(posix_env(), path, options.beside));
  }
  TRY(lesson.save(posix_env(), path, options.beside));
  if (!stop || lesson.done() >= lesson.plan().steps) return {};
  return Status(Code::cancelled, "stopped after step " + std::to_string(lesson.done()) +
                                     "; the same command goes on from there");
}

}  // namespace varve

// recipes: what each recipe of all weights takes, by class and as the ledger has it, beside AdamW; and where
// the loss on real text, the project's own documents, ends after a short run of some, beside AdamW's. Then
// the same of what learns over a model: the one that learnt the documents learns the project's sources.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "bench/bench.h"
#include "core/io/env.h"
#include "learn/data/batches.h"
#include "learn/form/form.h"
#include "learn/tune/model_file.h"
#include "learn/tune/recipe.h"

namespace varve::bench {
namespace {

constexpr int64_t kMostText = 16 << 20;
constexpr int64_t kRoom = int64_t(1) << 34;
constexpr FreshShape kSmall{
    .layers = 4, .width = 128, .hidden = 352, .heads = 4, .kv_heads = 2, .vocabulary = 256, .context = 128};

struct Course {  // a fresh model and its lesson
  Parts parts;
  std::unique_ptr<Network> network;
  std::unique_ptr<Lesson> lesson;
};

class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "varve-recipes-XXXXXX").string()) {
    CHECK(mkdtemp(path_.data()) != nullptr, "a folder for temporary files");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Result<std::unique_ptr<Course>> course(const FreshShape& shape, const LessonPlan& plan, int32_t rows,
                                       ThreadPool& pool, Ledger& ledger) {
  const Folder folder;
  auto made = std::make_unique<Course>();
  FullSource source(true, made->parts);
  made->network = TRY(Network::make(TRY(fresh_spec(shape)), source));
  if (plan.gradient == "zo2") {
    TRY(made->parts.stream(TRY(posix_env().open(folder.path() + "/weights", Open::create))));
  } else {
    TRY(made->parts.allocate(ledger));
    draw_values(made->parts, shape.layers, 1);
  }
  made->lesson = TRY(Lesson::make(*made->network, made->parts, plan, rows, pool, ledger));
  return made;
}

// By class, as the ledger has it; the first that comes is what the others are compared with.
class Table {
 public:
  explicit Table(std::vector<Measure>& all) : all_(all) {}
  void add(const std::string& recipe, const Ledger& ledger) {
    const std::pair<const char*, int64_t> classes[] = {{"gradients", ledger.used(Tag::gradients)},
                                                       {"optimizer state", ledger.used(Tag::optimizer)},
                                                       {"activations kept", ledger.used(Tag::activations)},
                                                       {"working set", ledger.used(Tag::scratch)},
                                                       {"together", ledger.used()}};
    for (size_t i = 0; i < std::size(classes); ++i) {
      const double mib = double(classes[i].second) / (1 << 20);
      if (reference_.size() < std::size(classes)) reference_.push_back(mib);
      all_.push_back({.name = recipe + ": " + classes[i].first,
                      .value = mib,
                      .unit = "MiB",
                      .baseline_name = "AdamW",
                      .baseline = reference_[i]});
    }
  }

 private:
  std::vector<Measure>& all_;
  std::vector<double> reference_;
};

// The rank of those that have one is a quarter of the width, as published.
Status bytes(ThreadPool& pool, std::vector<Measure>& all) {
  const FreshShape shape;
  Table table(all);
  for (const char* recipe :
       {"full", "adam8", "galore:rank=96", "galore8:rank=96", "natural_galore:rank=96", "dct:rank=96",
        "frugal", "cosmos", "fused", "galore_fused:rank=96", "lisa", "slimfit", "mezo", "zo2"}) {
    LessonPlan plan{.keep = KeepMode::hold};
    TRY(set_plan(TRY(read_recipe(recipe)), plan));
    Ledger ledger(kRoom);
    const auto one = TRY(course(shape, plan, 2048, pool, ledger));
    table.add(recipe, ledger);
  }
  return {};
}

Result<std::vector<int32_t>> text_of(const std::string& folder, std::string_view kind) {
  std::vector<int32_t> tokens;
  for (const std::string& name : TRY(posix_env().list(folder))) {
    if (!name.ends_with(kind)) continue;
    for (std::byte one : TRY(read_file(posix_env(), folder + "/" + name, kMostText)))
      tokens.push_back(int32_t(one));
  }
  if (tokens.size() < 50000)
    return Status(Code::not_found, "no text in " + folder + ": run it in the source tree");
  return tokens;
}

struct Text {
  std::vector<int32_t> tokens;
  TokenWindows::Shape windows{.length = 128, .sequences = 8, .separator = -1};
  std::span<const int32_t> learnt() const { return std::span(tokens).first(tokens.size() * 9 / 10); }
  std::span<const int32_t> held_out() const { return std::span(tokens).subspan(learnt().size()); }
};

Result<double> loss(const Text& text, const std::string& recipe, float rate, int64_t steps,
                    ThreadPool& pool) {
  LessonPlan plan{.rate = rate, .steps = steps, .warmup = steps / 10};
  TRY(set_plan(TRY(read_recipe(recipe)), plan));
  const TokenWindows batches(text.learnt(), text.windows);
  TokenWindows::Shape in_order = text.windows;
  in_order.in_order = true;
  const TokenWindows held_out(text.held_out(), in_order);
  Ledger ledger(kRoom);
  const auto one = TRY(course(kSmall, plan, batches.rows(), pool, ledger));
  for (int64_t step = 0; step < steps; ++step) TRY(one->lesson->step(batches));
  return one->lesson->evaluate(held_out, int32_t(held_out.windows() / text.windows.sequences));
}

// What learns over a model in a file, or of it.
struct Pupil {
  Parts parts;
  std::unique_ptr<WeightStore> store;
  std::unique_ptr<AdapterSource> adapter;
  std::unique_ptr<FullSource> full;
  std::unique_ptr<Network> network;
  std::unique_ptr<Lesson> lesson;
};

Result<std::unique_ptr<Pupil>> pupil(const std::string& path, const FreshShape& shape, const Recipe& recipe,
                                     const LessonPlan& plan, int32_t rows, ThreadPool& pool, Ledger& ledger) {
  auto made = std::make_unique<Pupil>();
  const auto mapping = TRY(posix_env().map(path));
  made->store = TRY(open_resident_weights(posix_env(), path, TRY(Gguf::parse(mapping->bytes())), ledger));
  LeafSource* source = nullptr;
  if (recipe.adapter()) {
    made->adapter = std::make_unique<AdapterSource>(*made->store, TRY(forms().make(recipe.form)),
                                                    std::vector<std::string>{"blk.*.*"}, made->parts);
    source = made->adapter.get();
  } else {
    made->full = std::make_unique<FullSource>(*made->store, made->parts);
    source = made->full.get();
  }
  made->network = TRY(Network::make(TRY(fresh_spec(shape)), *source));
  TRY(made->parts.allocate(ledger));
  if (made->full) {
    TRY(made->full->read());
    made->store.reset();
  }
  made->lesson = TRY(Lesson::make(*made->network, made->parts, plan, rows, pool, ledger));
  return made;
}

Status begin(Pupil& pupil, const Batches& batches, Ledger& ledger) {
  if (pupil.adapter == nullptr) return {};
  Lesson& lesson = *pupil.lesson;
  const WeightForm& form = pupil.adapter->form();
  TRY(form.begin({pupil.adapter->weights(), pupil.parts, *pupil.store, lesson.train(), ledger, 1,
                  [&](const Beginning::Visit& visit) { return lesson.gradients(batches, visit); }}));
  if (!form.regularises()) return {};
  return lesson.regularise([&](const WeightForm::Gradient& gradient) {
    form.regularise(pupil.adapter->weights(), pupil.parts, gradient);
  });
}

constexpr const char* kOver[] = {"full", "lora", "rslora", "lora_ga", "dora", "kasa",     "lamda",
                                 "paca", "peqa", "ist",    "dp",      "mezo", "lora_mezo"};

// Over the default shape in 8 bits, whatever its values.
Status bytes_over(ThreadPool& pool, std::vector<Measure>& all) {
  const FreshShape shape;
  const Folder folder;
  const std::string path = folder.path() + "/base.gguf";
  {
    Ledger ledger(kRoom);
    LessonPlan plan;
    const auto one = TRY(course(shape, plan, 64, pool, ledger));
    GgufWriter writer;
    TRY(write_model(shape, one->parts, *TRY(codec_named("q8_0")), writer, posix_env(), path, ledger));
  }
  Table table(all);
  for (const char* name : kOver) {
    const Recipe recipe = TRY(read_recipe(name));
    LessonPlan plan{.keep = KeepMode::hold};
    TRY(set_plan(recipe, plan));
    Ledger ledger(kRoom);
    const auto one = TRY(pupil(path, shape, recipe, plan, 2048, pool, ledger));
    table.add("over a model, " + std::string(name), ledger);
  }
  return {};
}

struct Tuning {
  const char* recipe;
  float rates[2];
};
constexpr Tuning kTunings[] = {
    {"full", {1e-3f, 3e-3f}},     {"lora", {3e-3f, 1e-2f}}, {"rslora", {3e-3f, 1e-2f}},
    {"lora_ga", {3e-3f, 1e-2f}},  {"dora", {3e-3f, 1e-2f}}, {"kasa", {3e-3f, 1e-2f}},
    {"lamda", {3e-3f, 1e-2f}},    {"paca", {3e-3f, 1e-2f}}, {"peqa", {1e-3f, 3e-3f}},
    {"ist", {3e-3f, 1e-2f}},      {"dp", {3e-3f, 1e-2f}},   {"mezo", {1e-4f, 3e-4f}},
    {"lora_mezo", {3e-4f, 1e-3f}}};

Result<double> loss_over(const std::string& path, const Text& text, const Tuning& tuning, int64_t steps,
                         ThreadPool& pool) {
  const Recipe recipe = TRY(read_recipe(tuning.recipe));
  const TokenWindows batches(text.learnt(), text.windows);
  TokenWindows::Shape in_order = text.windows;
  in_order.in_order = true;
  const TokenWindows held_out(text.held_out(), in_order);
  double best = 0;
  for (float rate : tuning.rates) {
    LessonPlan plan{.rate = rate, .decay = 0, .steps = steps, .warmup = steps / 10};
    TRY(set_plan(recipe, plan));
    Ledger ledger(kRoom);
    const auto one = TRY(pupil(path, kSmall, recipe, plan, batches.rows(), pool, ledger));
    TRY(begin(*one, batches, ledger));
    for (int64_t step = 0; step < steps; ++step) TRY(one->lesson->step(batches));
    const auto count = int32_t(held_out.windows() / text.windows.sequences);
    const double loss = TRY(one->lesson->evaluate(held_out, count));
    best = best == 0 ? loss : std::min(best, loss);
  }
  return best;
}

Status losses_over(const Text& documents, int64_t steps, ThreadPool& pool, std::vector<Measure>& all) {
  const Folder folder;
  const std::string path = folder.path() + "/base.gguf";
  {
    Ledger ledger(kRoom);
    LessonPlan plan{.rate = 6e-3f, .steps = steps, .warmup = steps / 10};
    const TokenWindows batches(documents.learnt(), documents.windows);
    const auto one = TRY(course(kSmall, plan, batches.rows(), pool, ledger));
    for (int64_t step = 0; step < steps; ++step) TRY(one->lesson->step(batches));
    GgufWriter writer;
    TRY(write_model(kSmall, one->parts, *TRY(codec_named("q8_0")), writer, posix_env(), path, ledger));
  }
  const Text sources{TRY(text_of("src/serve/home", ".cc"))};
  double reference = 0;
  for (const Tuning& tuning : kTunings) {
    const double loss = TRY(loss_over(path, sources, tuning, steps, pool));
    if (reference == 0) reference = loss;
    all.push_back({.name = "over a model, " + std::string(tuning.recipe) + ": loss, better of two rates",
                   .value = loss,
                   .unit = "nats",
                   .baseline_name = "AdamW",
                   .baseline = reference});
  }
  return {};
}

}  // namespace

Result<std::vector<Measure>> recipes(const Spec& options) {
  int steps = 300, threads = std::max(1, int(std::thread::hardware_concurrency()));
  TRY(OptionReader(options).read("steps", steps, 0, 1 << 20).read("threads", threads, 1, 1024).done());
  ThreadPool pool(threads);
  std::vector<Measure> all;
  TRY(bytes(pool, all));
  TRY(bytes_over(pool, all));
  if (steps == 0) return all;
  const Text text{TRY(text_of("docs", ".md"))};
  double reference = 0;
  for (const char* recipe : {"full", "galore:rank=32", "frugal", "lisa"}) {
    double best = 0;
    for (float rate : {2e-3f, 6e-3f}) {
      const double one = TRY(loss(text, recipe, rate, steps, pool));
      best = best == 0 ? one : std::min(best, one);
    }
    if (reference == 0) reference = best;
    all.push_back({.name = std::string(recipe) + ": loss a byte of text not seen, better of two rates",
                   .value = best,
                   .unit = "nats",
                   .baseline_name = "AdamW",
                   .baseline = reference});
  }
  TRY(losses_over(text, steps, pool, all));
  return all;
}

}  // namespace varve::bench

// recipes: what each recipe of all weights takes, by class and as the ledger has it, beside AdamW; and where
// the loss on real text, the project's own documents, ends after a short run of some, beside AdamW's.
#include <algorithm>
#include <thread>

#include "bench/bench.h"
#include "core/io/env.h"
#include "learn/data/batches.h"
#include "learn/tune/model_file.h"
#include "learn/tune/recipe.h"

namespace varve::bench {
namespace {

constexpr int64_t kMostText = 16 << 20;
constexpr int64_t kRoom = int64_t(1) << 34;

struct Course {  // a fresh model and its lesson
  Parts parts;
  std::unique_ptr<Network> network;
  std::unique_ptr<Lesson> lesson;
};

Result<std::unique_ptr<Course>> course(const FreshShape& shape, const LessonPlan& plan, int32_t rows,
                                       ThreadPool& pool, Ledger& ledger) {
  auto made = std::make_unique<Course>();
  FullSource source(true, made->parts);
  made->network = TRY(Network::make(TRY(fresh_spec(shape)), source));
  TRY(made->parts.allocate(ledger));
  draw_values(made->parts, shape.layers, 1);
  made->lesson = TRY(Lesson::make(*made->network, made->parts, plan, rows, pool, ledger));
  return made;
}

// By class; the rank of those that have one is a quarter of the width, as published.
Status bytes(ThreadPool& pool, std::vector<Measure>& all) {
  const FreshShape shape;
  std::vector<double> reference;
  for (const char* recipe :
       {"full", "adam8", "galore:rank=96", "galore8:rank=96", "natural_galore:rank=96", "dct:rank=96",
        "frugal", "cosmos", "fused", "galore_fused:rank=96", "lisa", "slimfit"}) {
    LessonPlan plan{.keep = KeepMode::hold};
    TRY(set_plan(TRY(read_recipe(recipe)), plan));
    Ledger ledger(kRoom);
    const auto one = TRY(course(shape, plan, 2048, pool, ledger));
    const std::pair<const char*, int64_t> classes[] = {{"gradients", ledger.used(Tag::gradients)},
                                                       {"optimizer state", ledger.used(Tag::optimizer)},
                                                       {"activations kept", ledger.used(Tag::activations)},
                                                       {"working set", ledger.used(Tag::scratch)},
                                                       {"together", ledger.used()}};
    for (size_t i = 0; i < std::size(classes); ++i) {
      const double mib = double(classes[i].second) / (1 << 20);
      if (reference.size() < std::size(classes)) reference.push_back(mib);
      all.push_back({.name = std::string(recipe) + ": " + classes[i].first,
                     .value = mib,
                     .unit = "MiB",
                     .baseline_name = "AdamW",
                     .baseline = reference[i]});
    }
  }
  return {};
}

Result<std::vector<int32_t>> text_of(const std::string& folder) {
  std::vector<int32_t> tokens;
  for (const std::string& name : TRY(posix_env().list(folder))) {
    if (!name.ends_with(".md")) continue;
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
  const FreshShape shape{
      .layers = 4, .width = 128, .hidden = 352, .heads = 4, .kv_heads = 2, .vocabulary = 256, .context = 128};
  LessonPlan plan{.rate = rate, .steps = steps, .warmup = steps / 10};
  TRY(set_plan(TRY(read_recipe(recipe)), plan));
  const TokenWindows batches(text.learnt(), text.windows);
  TokenWindows::Shape in_order = text.windows;
  in_order.in_order = true;
  const TokenWindows held_out(text.held_out(), in_order);
  Ledger ledger(kRoom);
  const auto one = TRY(course(shape, plan, batches.rows(), pool, ledger));
  for (int64_t step = 0; step < steps; ++step) TRY(one->lesson->step(batches));
  return one->lesson->evaluate(held_out, int32_t(held_out.windows() / text.windows.sequences));
}

}  // namespace

Result<std::vector<Measure>> recipes(const Spec& options) {
  int steps = 300, threads = std::max(1, int(std::thread::hardware_concurrency()));
  TRY(OptionReader(options).read("steps", steps, 0, 1 << 20).read("threads", threads, 1, 1024).done());
  ThreadPool pool(threads);
  std::vector<Measure> all;
  TRY(bytes(pool, all));
  if (steps == 0) return all;
  const Text text{TRY(text_of("docs"))};
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
  return all;
}

}  // namespace varve::bench

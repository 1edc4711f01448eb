// varve learn: from a feed, over a model that stays as it is, an adapter; or the model's own weights, and
// then the product is another model.
#include <ostream>
#include <thread>

#include "core/base/process.h"
#include "learn/data/pairs.h"
#include "learn/tune/recipe.h"
#include "learn/tune/rewrite.h"
#include "memory/parametric/adapter_file.h"
#include "run/model/arch/family.h"
#include "serve/cli/builtin.h"
#include "serve/cli/learn/lesson.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

constexpr int64_t kMostFeed = int64_t(1) << 30;
constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger

struct Options {
  LessonOptions lesson;
  std::string model, out;
  std::vector<std::string> on, feeds;
  bool peft = false;
  std::string work() const { return out + ".work"; }
};

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    if (end > at) parts.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Result<Options> read_options(Args& args) {
  Options options;
  LessonOptions& lesson = options.lesson;
  lesson.length = 512, lesson.sequences = 2;
  lesson.plan.rate = 2e-4f, lesson.plan.decay = 0, lesson.plan.steps = 200, lesson.plan.warmup = 10;
  lesson.plan.keep = KeepMode::recompute;
  lesson.recipe = TRY(read_recipe("lora"));
  TRY(read_lesson_options(args, lesson));
  options.model = TRY(args.value("--model")).value_or("");
  options.out = TRY(args.value("-o")).value_or("");
  if (auto text = TRY(args.value("--on"))) options.on = parts_of(*text);
  if (auto text = TRY(args.value("--feed"))) options.feeds = parts_of(*text);
  options.peft = args.flag("--peft");
  for (std::string& one : TRY(args.rest(0, 10000, "the files to learn from")))
    options.feeds.push_back(std::move(one));
  if (options.model.empty()) return Status(Code::invalid, "name the model: --model FILE.gguf");
  if (options.feeds.empty()) return Status(Code::invalid, "name what to learn from: --feed FILE");
  if (options.out.empty()) return Status(Code::invalid, "say where the adapter goes: -o FILE.gguf");
  return options;
}

// A model that is open, and what learns over it or of it.
struct Pupil {
  std::shared_ptr<const Model> model;  // null: its own weights learn
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  std::unique_ptr<WeightStore> store;  // until they are read
  std::vector<WeightEntry> entries;
  Parts parts;
  std::unique_ptr<LowRankSource> low_rank;
  std::unique_ptr<FullSource> full;
  std::unique_ptr<Network> network;

  int64_t base_bytes() const { return model != nullptr ? model->weights().resident_bytes() : 0; }
  FeedShape feed_shape(int32_t length) const {
    if (model != nullptr) return {length, model->tokenizer(), model->chat_template()};
    return {length, tokenizer.get(), chat_template ? &*chat_template : nullptr};
  }
};

Result<std::unique_ptr<Pupil>> pupil(const Options& options, const LowRankForm& form, Ledger& ledger) {
  auto made = std::make_unique<Pupil>();
  made->model = TRY(open_model(posix_env(), options.model, ledger));
  const auto mapping = TRY(posix_env().map(options.model));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
  made->low_rank = std::make_unique<LowRankSource>(made->model->weights(), form.shape, made->parts);
  made->network = TRY(Network::make(TRY(read_decoder_spec(gguf)), *made->low_rank));
  if (made->parts.size() == 0)
    return Status(Code::invalid, "no weight of the model has a role that --on names");
  if (made->model->tokenizer() == nullptr) return Status(Code::invalid, options.model + " has no tokenizer");
  return made;
}

// The weights stay in the file until they are read as what learns.
Result<std::unique_ptr<Pupil>> pupil_of_weights(const Options& options, Ledger& ledger) {
  auto made = std::make_unique<Pupil>();
  const auto mapping = TRY(posix_env().map(options.model));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + options.model));
  made->tokenizer = TRY(open_tokenizer(gguf, ledger).with("reading the tokenizer of " + options.model));
  if (const auto source = gguf.string("tokenizer.chat_template"); source.ok()) {
    auto parsed = ChatTemplate::parse(*source);
    if (parsed.ok()) made->chat_template = std::move(parsed).value();
  }
  made->entries = TRY(list_weights(gguf));
  made->store = TRY(open_streamed_weights(posix_env(), options.model, gguf, ledger));
  made->full = std::make_unique<FullSource>(*made->store, made->parts);
  made->network = TRY(Network::make(TRY(read_decoder_spec(gguf)), *made->full));
  return made;
}

// The values that learn, as they begin.
Status begin(const Options& options, Pupil& pupil, Ledger& ledger) {
  if (pupil.full == nullptr) {
    TRY(pupil.parts.allocate(ledger));
    draw_low_rank(pupil.parts, options.lesson.plan.seed);
    return {};
  }
  if (options.lesson.plan.gradient.starts_with("zo2")) {
    const std::string path = options.work() + "/weights";
    if (TRY(posix_env().exists(path))) TRY(posix_env().remove(path));
    TRY(pupil.parts.stream(TRY(posix_env().open(path, Open::create))));
  } else {
    TRY(pupil.parts.allocate(ledger));
  }
  TRY(pupil.full->read());
  pupil.store.reset();
  return {};
}

Result<Feed> feed(const Options& options, const Pupil& pupil, Ledger& ledger, Json& sources) {
  Feed all = TRY(Feed::make(ledger));
  const FeedShape shape = pupil.feed_shape(options.lesson.length);
  for (const std::string& path : options.feeds) {
    const std::vector<std::byte> bytes = TRY(read_file(posix_env(), path, kMostFeed));
    TRY(all.add(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, shape));
    Json source = Json::object();
    sources.push(std::move(source.set("file", path).set("sha256", sha256(bytes).hex())));
  }
  return all;
}

// Rows of a batch at most: of a few examples together, or of one answer of a pair.
Result<int32_t> rows_of(const LessonOptions& lesson) {
  const auto objective = TRY(objectives().make(lesson.plan.objective));
  return lesson.length * (objective->sequences() > 1 ? 1 : lesson.sequences);
}

Result<std::unique_ptr<Batches>> batches_of(const Feed& examples, const LessonOptions& given) {
  const auto objective = TRY(objectives().make(given.plan.objective));
  if (examples.paired() != (objective->sequences() == 2)) {
    return Status(Code::invalid, "objective " + given.plan.objective +
                                     (examples.paired() ? " does not learn from pairs of answers: dpo and "
                                                          "simpo do"
                                                        : " learns from lines with prompt, chosen and "
                                                          "rejected"));
  }
  if (examples.paired()) {
    return std::unique_ptr<Batches>(new PairedFeed(examples, given.plan.parts, given.plan.seed));
  }
  return std::unique_ptr<Batches>(
      new PackedFeed(examples, given.length * given.sequences, given.plan.parts, given.plan.seed));
}

// Parts are named as the tensors of their recipe's kind: "blk.0.attn_q.lora_a".
AdapterFile adapter_of(const LowRankForm& form, const Pupil& pupil, Json lesson) {
  AdapterFile file;
  file.note = {.kind = "lora",
               .alpha = form.alpha,
               .base = pupil.model->name(),
               .family = pupil.model->shape().family,
               .fingerprint = pupil.model->fingerprint(),
               .lesson = std::move(lesson)};
  for (size_t i = 0; i < pupil.parts.size(); ++i) {
    const Part& part = pupil.parts[i];
    const size_t dot = part.role.rfind('.');
    file.tensors.push_back(
        {part.role.substr(0, dot), part.role.substr(dot + 1), part.rows, part.cols, part.value});
  }
  return file;
}

Status write_out(const Options& options, const LowRankForm& form, const Pupil& pupil, Json lesson) {
  const AdapterFile file = adapter_of(form, pupil, std::move(lesson));
  if (!options.peft) return write_adapter_gguf(posix_env(), options.out, file);
  const ModelShape& shape = pupil.model->shape();
  return write_adapter_peft(posix_env(), options.out, file,
                            permuted_heads(shape.family, shape.heads, shape.kv.kv_heads));
}

Result<int> learn(const Options& options, const LowRankForm& form, Pupil& pupil, Ledger& ledger,
                  Console& console) {
  const LessonOptions& given = options.lesson;
  Json sources = Json::array();
  const Feed examples = TRY(feed(options, pupil, ledger, sources));
  const auto batches = TRY(batches_of(examples, given));
  TRY(posix_env().make_folder(options.work()));
  TRY(begin(options, pupil, ledger));
  std::unique_ptr<File> spill;
  const std::string checkpoint = options.work() + "/checkpoint", spilled = options.work() + "/activations";
  if (given.plan.keep == KeepMode::spill) {
    if (TRY(posix_env().exists(spilled))) TRY(posix_env().remove(spilled));
    spill = TRY(posix_env().open(spilled, Open::create));
  }
  ThreadPool pool(given.threads);
  auto lesson = TRY(
      Lesson::make(*pupil.network, pupil.parts, given.plan, batches->rows(), pool, ledger, std::move(spill)));
  if (!given.fresh && TRY(posix_env().exists(checkpoint))) {
    TRY(lesson->load(posix_env(), checkpoint).status().with("going on; --fresh begins anew"));
  }
  if (!given.json) {
    console.out << pupil.parts.values() << " values learn from " << examples.learnt() << " of "
                << examples.tokens() << " tokens in " << examples.size() << " examples";
    if (examples.cut() > 0) console.out << "; " << examples.cut() << " lost their beginning";
    console.out << std::endl;
  }
  const auto count = int32_t(std::min<int64_t>(batches->count(), 16));
  const double before = TRY(lesson->evaluate(*batches, count));
  TRY(run_lesson(*lesson, *batches, given, checkpoint, console));
  const double after = TRY(lesson->evaluate(*batches, count));
  Json json = Json::object();
  json.set("recipe", given.recipe.name).set("plan", given.plan.json()).set("feed", std::move(sources));
  json.set("loss_before", before).set("loss_after", after).set("ledger_peak", ledger.peak());
  json.set("resident_peak", peak_resident_bytes());
  lesson.reset();  // its bytes may be needed
  if (pupil.full != nullptr) {
    TRY(rewrite_model(posix_env(), options.model, pupil.entries, pupil.parts, options.out, ledger));
  } else {
    TRY(write_out(options, form, pupil, json));
  }
  if (TRY(posix_env().exists(spilled))) TRY(posix_env().remove(spilled));
  if (given.json) {
    console.out << json.set(pupil.full != nullptr ? "model" : "adapter", options.out).dump() << "\n";
  } else {
    console.out << "Wrote " << options.out << "; loss " << before << " before, " << after << " after; peak "
                << format_bytes(peak_resident_bytes()) << "\n";
  }
  return 0;
}

}  // namespace

Result<int> run_learn(Args& args, Console& console) {
  Options options = TRY(read_options(args));
  LessonOptions& lesson = options.lesson;
  const bool whole = !lesson.recipe.adapter();
  if (whole && (options.peft || !options.on.empty())) {
    return Status(Code::invalid,
                  "--on and --peft are of adapters, and recipe " + lesson.recipe.name + " is none");
  }
  LowRankForm form;
  if (!whole) form = TRY(read_low_rank(lesson.recipe.form, options.on));
  if (lesson.threads == 0) lesson.threads = std::max(1, int(std::thread::hardware_concurrency()));
  if (lesson.budget_bytes == 0) lesson.budget_bytes = machine_bytes() / 2;
  Ledger ledger(lesson.budget_bytes - kFloor, kFloor);
  const auto made = TRY(whole ? pupil_of_weights(options, ledger) : pupil(options, form, ledger));
  const int32_t rows = TRY(rows_of(lesson));
  if (lesson.plan_only) {
    print_bytes(TRY(Lesson::bytes(*made->network, made->parts, lesson.plan, rows, lesson.threads)),
                made->base_bytes(), lesson, console);
    TRY(print_recipes(*made->network, made->parts, lesson, rows, made->base_bytes(), console));
    return 0;
  }
  TRY(check_budget(*made->network, made->parts, lesson, rows, ledger.limit() - ledger.used()));
  return learn(options, form, *made, ledger, console);
}

}  // namespace varve

// varve learn: from a feed, over a model that stays as it is, an adapter; or the model's own weights, and
// then the product is another model.
#include <ostream>
#include <thread>

#include "core/base/process.h"
#include "learn/data/pairs.h"
#include "learn/form/form.h"
#include "learn/grad/kv_gate.h"
#include "learn/tune/recipe.h"
#include "learn/tune/rewrite.h"
#include "run/model/arch/family.h"
#include "run/model/fingerprint.h"
#include "run/model/open_streamed.h"
#include "serve/cli/builtin.h"
#include "serve/cli/learn/lesson.h"
#include "serve/cli/learn/product.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

constexpr int64_t kMostFeed = int64_t(1) << 30;
constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger

struct Options {
  LessonOptions lesson;
  std::string model, weights = "auto";
  std::vector<std::string> on, feeds;
  int32_t hold_out = -1;  // one example in so many is only measured by; 0: none; -1: as there are many
  Product product;
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
  options.product = TRY(read_product(args));
  if (auto text = TRY(args.value("--weights"))) options.weights = *text;
  if (options.weights != "auto" && options.weights != "resident" && options.weights != "stream") {
    return Status(Code::invalid, "--weights is auto, resident or stream, not " + options.weights);
  }
  TRY(args.number<int32_t>("--hold-out", options.hold_out, 0, 1 << 20));
  if (auto text = TRY(args.value("--on"))) options.on = parts_of(*text);
  if (auto text = TRY(args.value("--feed"))) options.feeds = parts_of(*text);
  for (std::string& one : TRY(args.rest(0, 10000, "the files to learn from")))
    options.feeds.push_back(std::move(one));
  if (options.model.empty()) return Status(Code::invalid, "name the model: --model FILE.gguf");
  if (options.feeds.empty())
    return Status(Code::invalid, "name what to learn from: --feed FILE, or --feed space:NAME");
  return options;
}

// A model that is open, and what learns over it or of it.
struct Pupil {
  std::shared_ptr<const Model> model;  // null: its own weights learn
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  std::unique_ptr<WeightStore> store;  // until they are read
  Hash256 fingerprint;                 // of the model whose weights learn
  Parts parts;
  std::unique_ptr<AdapterSource> source;
  std::unique_ptr<FullSource> full;
  std::unique_ptr<GateSource> gate;  // of KV: neither the model nor what it says changes
  std::unique_ptr<Network> network;

  int64_t base_bytes() const { return model != nullptr ? model->weights().resident_bytes() : 0; }
  FeedShape feed_shape(int32_t length) const {
    if (model != nullptr) return {length, model->tokenizer(), model->chat_template()};
    return {length, tokenizer.get(), chat_template ? &*chat_template : nullptr};
  }
};

bool learns_gate(const Options& options) {
  return options.lesson.recipe.form.starts_with("gate");
}

Result<LeafSource*> source_of(const Options& options, Pupil& pupil) {
  const std::string& form = options.lesson.recipe.form;
  if (learns_gate(options)) {
    const KvGateSpec spec = TRY(read_kv_gate(TRY(parse_spec(form))).with("recipe gate"));
    pupil.gate = std::make_unique<GateSource>(pupil.model->weights(), spec, pupil.parts);
    return pupil.gate.get();
  }
  pupil.source = std::make_unique<AdapterSource>(
      pupil.model->weights(), TRY(forms().make(form)),
      options.on.empty() ? std::vector<std::string>{"blk.*.*"} : options.on, pupil.parts);
  return pupil.source.get();
}

Result<std::unique_ptr<Pupil>> pupil(const Options& options, Ledger& ledger, int64_t stream_bytes) {
  auto made = std::make_unique<Pupil>();
  made->model = stream_bytes < 0 ? TRY(open_model(posix_env(), options.model, ledger))
                                 : TRY(open_streamed_model(posix_env(), options.model, ledger, stream_bytes));
  const auto mapping = TRY(posix_env().map(options.model));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
  LeafSource* source = TRY(source_of(options, *made));
  made->network = TRY(Network::make(TRY(read_decoder_spec(gguf)), *source));
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
  made->fingerprint = model_fingerprint(mapping->bytes(), gguf);
  made->store = TRY(open_streamed_weights(posix_env(), options.model, gguf, ledger));
  made->full = std::make_unique<FullSource>(*made->store, made->parts);
  made->network = TRY(Network::make(TRY(read_decoder_spec(gguf)), *made->full));
  return made;
}

// The values that learn, as they begin.
Status begin(const Options& options, Pupil& pupil, Ledger& ledger) {
  if (pupil.full == nullptr) {
    return pupil.parts.allocate(ledger);
  }
  if (options.lesson.plan.gradient.starts_with("zo2")) {
    const std::string path = options.product.work() + "/weights";
    if (TRY(posix_env().exists(path))) TRY(posix_env().remove(path));
    TRY(pupil.parts.stream(TRY(posix_env().open(path, Open::create))));
  } else {
    TRY(pupil.parts.allocate(ledger));
  }
  TRY(pupil.full->read());
  pupil.store.reset();
  return {};
}

Result<Feed> feed(Options& options, const Pupil& pupil, Ledger& ledger, Json& sources) {
  Feed all = TRY(Feed::make(ledger));
  const FeedShape shape = pupil.feed_shape(options.lesson.length);
  Product& product = options.product;
  std::unique_ptr<Home> home;  // while it is read
  for (const std::string& name : options.feeds) {
    Json source = Json::object();
    if (is_remembered(name)) {
      if (!home) home = TRY(product.home.open().with("reading " + name));
      const std::string lines = TRY(remembered(home->cubes(), product.home.who, name, product.from));
      TRY(all.add(name, lines, shape));
      source.set("memory", name).set("sha256", sha256(lines).hex());
    } else {
      const std::vector<std::byte> bytes = TRY(read_file(posix_env(), name, kMostFeed));
      TRY(all.add(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, shape));
      source.set("file", name).set("sha256", sha256(bytes).hex());
    }
    sources.push(std::move(source));
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

// The values that the form begins with, and its own loss. A lesson that goes on begins so too: what is held
// is in no checkpoint.
Status begin_form(Pupil& pupil, Lesson& lesson, const Batches& batches, Ledger& ledger) {
  if (pupil.gate != nullptr) return pupil.gate->begin(), Status();
  const AdapterSource& source = *pupil.source;
  TRY(source.form().begin(
      {.weights = source.weights(),
       .parts = pupil.parts,
       .store = pupil.model->weights(),
       .train = lesson.train(),
       .ledger = ledger,
       .seed = lesson.plan().seed,
       .gradients = [&](const Beginning::Visit& visit) { return lesson.gradients(batches, visit); }}));
  if (!source.form().regularises()) return {};
  return lesson.regularise([&](const WeightForm::Gradient& gradient) {
    source.form().regularise(source.weights(), pupil.parts, gradient);
  });
}

// What is learnt from, and what is kept from it to measure by.
struct Examples {
  Feed learnt, held_out;
  std::unique_ptr<Batches> batches, measured;
};

Result<std::unique_ptr<Examples>> examples_of(Options& options, const Pupil& pupil, Ledger& ledger,
                                              Json& sources) {
  const LessonOptions& given = options.lesson;
  Feed all = TRY(feed(options, pupil, ledger, sources));
  constexpr size_t kMany = 200;  // of fewer, none is spared unless it is asked for
  const int32_t every = options.hold_out < 0 ? all.size() < kMany ? 0 : 50 : options.hold_out;
  Feed held = TRY(all.hold_out(every, ledger));
  auto made = std::unique_ptr<Examples>(new Examples{std::move(all), std::move(held), nullptr, nullptr});
  made->batches = TRY(batches_of(made->learnt, given));
  made->measured = TRY(batches_of(made->held_out.size() > 0 ? made->held_out : made->learnt, given));
  return made;
}

void say(const Examples& examples, const Pupil& pupil, Console& console) {
  const Feed& feed = examples.learnt;
  console.out << pupil.parts.values() << " values learn from " << feed.learnt() << " of " << feed.tokens()
              << " tokens in " << feed.size() << " examples";
  if (examples.held_out.size() > 0) console.out << "; " << examples.held_out.size() << " are held out";
  if (feed.cut() > 0) console.out << "; " << feed.cut() << " lost their beginning";
  console.out << std::endl;
}

Status put(const Options& options, const Pupil& pupil, Ledger& ledger, Json& json) {
  const Product& product = options.product;
  if (pupil.gate != nullptr) {
    const KvGateSpec& spec = pupil.gate->spec();
    Json gate = Json::object();
    gate.set("keep", double(spec.keep)).set("stays", pupil.gate->share());
    gate.set("near", int64_t(spec.near)).set("sinks", int64_t(spec.sinks));
    json.set("gate", std::move(gate));
    return put_product(product, adapter_of(pupil.parts, *pupil.model, "gate", 1, json), *pupil.model, ledger,
                       json);
  }
  if (pupil.full == nullptr) {
    Learnt learnt;
    TRY(pupil.source->form().finish(pupil.source->weights(), pupil.parts, ledger, learnt));
    AdapterFile file = adapter_of(Parts(), *pupil.model, learnt.kind, learnt.alpha, json);
    for (const Learnt::Tensor& one : learnt.tensors) {
      file.tensors.push_back({one.role, one.name, one.rows, one.cols, one.values});
    }
    return put_product(product, file, *pupil.model, ledger, json);
  }
  json.set("base", pupil.fingerprint.hex());
  TRY(rewrite_model(posix_env(), options.model, pupil.parts, json, product.file, ledger));
  json.set("model", product.file);
  return {};
}

// What a private lesson promises of each example, as if every step had drawn at random as many as it has on
// average. Losses that are printed beside it are no part of the promise.
Json promise(const Lesson& lesson, const Examples& examples) {
  const Privacy& privacy = *lesson.privacy();
  const double delta = 1 / (2 * double(examples.learnt.size()));
  const double rate = std::min(1.0, double(lesson.plan().parts) / double(examples.batches->count()));
  Json json = Json::object();
  json.set("clip", double(privacy.clip)).set("noise", double(privacy.noise)).set("rate", rate);
  if (privacy.noise > 0) {
    json.set("epsilon", privacy_epsilon(double(privacy.noise), rate, lesson.done(), delta));
    json.set("delta", delta);
  }
  return json;
}

void tell(const Options& options, const Json& json, Console& console) {
  if (options.lesson.json) {
    console.out << json.dump() << "\n";
    return;
  }
  console.out << "Wrote " << options.product.name() << "; loss "
              << (json["held_out"].as_int() > 0 ? "on what was held out " : "")
              << json["loss_before"].as_double() << " before, " << json["loss_after"].as_double()
              << " after; peak " << format_bytes(peak_resident_bytes()) << "\n";
  if (const Json& stays = json["gate"]["stays"]; stays.is_number())
    console.out << "Of the tokens " << 100 * stays.as_double() << " % stay\n";
  if (const Json& epsilon = json["privacy"]["epsilon"]; epsilon.is_number()) {
    console.out << "Private: epsilon " << epsilon.as_double() << " at delta "
                << json["privacy"]["delta"].as_double() << "\n";
  }
}

Status learn(Options& options, Pupil& pupil, Ledger& ledger, Console& console) {
  LessonOptions& given = options.lesson;
  Json sources = Json::array();
  const auto examples = TRY(examples_of(options, pupil, ledger, sources));
  const Batches& batches = *examples->batches;
  const std::string work = options.product.work();
  TRY(posix_env().make_folder(work));
  TRY(begin(options, pupil, ledger));
  std::unique_ptr<File> spill;
  const std::string checkpoint = work + "/checkpoint", spilled = work + "/activations";
  if (given.plan.keep == KeepMode::spill) {
    if (TRY(posix_env().exists(spilled))) TRY(posix_env().remove(spilled));
    spill = TRY(posix_env().open(spilled, Open::create));
  }
  ThreadPool pool(given.threads);
  const int32_t rows = std::max(batches.rows(), examples->measured->rows());
  auto lesson =
      TRY(Lesson::make(*pupil.network, pupil.parts, given.plan, rows, pool, ledger, std::move(spill)));
  if (pupil.full == nullptr) TRY(begin_form(pupil, *lesson, batches, ledger));
  if (!given.json) say(*examples, pupil, console);
  const auto count = int32_t(std::min<int64_t>(examples->measured->count(), 16));
  // Of the values that it begins with, also when it goes on.
  const double before = TRY(lesson->evaluate(*examples->measured, count));
  given.beside.set("feed", sources);
  if (!given.fresh && TRY(posix_env().exists(checkpoint))) {
    const Json beside = TRY(lesson->load(posix_env(), checkpoint).with("going on; --fresh begins anew"));
    if (beside["feed"] != sources) {
      return Status(Code::conflict,
                    "what is to be learnt changed since " + checkpoint + " was written: --fresh begins anew");
    }
  }
  TRY(run_lesson(*lesson, batches, given, checkpoint, console));
  const double after = TRY(lesson->evaluate(*examples->measured, count));
  Json json = Json::object();
  json.set("recipe", given.recipe.name).set("plan", given.plan.json()).set("feed", std::move(sources));
  const bool held = examples->held_out.size() > 0;
  json.set("examples", int64_t(examples->learnt.size())).set("measured_on", held ? "held out" : "the feed");
  json.set("held_out", int64_t(examples->held_out.size()));
  json.set("loss_before", before).set("loss_after", after).set("ledger_peak", ledger.peak());
  json.set("resident_peak", peak_resident_bytes());
  if (lesson->privacy() != nullptr) json.set("privacy", promise(*lesson, *examples));
  lesson.reset();  // its bytes are needed to write
  TRY(put(options, pupil, ledger, json));
  if (TRY(posix_env().exists(spilled))) TRY(posix_env().remove(spilled));
  if (!options.product.cube.empty()) {  // the cube is all that stays of what was learnt
    TRY(posix_env().remove(checkpoint));
    posix_env().remove(work).ignore("an empty folder");
  }
  tell(options, json, console);
  return {};
}

// Resident when there is room beside the lesson; else streamed, with what the lesson leaves.
Result<std::unique_ptr<Pupil>> fitting_pupil(const Options& options, int32_t rows, Ledger& ledger) {
  if (options.weights == "resident") return pupil(options, ledger, -1);
  auto made = TRY(pupil(options, ledger, 0));
  int64_t whole = 0;
  for (const WeightEntry& entry : made->model->weights().entries()) whole += (entry.bytes + 63) / 64 * 64;
  const int64_t least = made->model->weights().resident_bytes();
  const LessonBytes lesson =
      TRY(Lesson::bytes(*made->network, made->parts, options.lesson.plan, rows, options.lesson.threads));
  constexpr int64_t kExamples = 16 << 20;  // and the small things of a lesson
  const int64_t room = ledger.limit() - ledger.used() + least - lesson.total() - kExamples;
  if (options.weights == "auto" && whole <= room) {
    made.reset();
    return pupil(options, ledger, -1);
  }
  if (room <= least) return made;
  made.reset();
  return pupil(options, ledger, std::min(room, whole));
}

// What a gate is not.
Status check_gate(const Options& options) {
  if (!learns_gate(options)) return {};
  if (!options.product.cube.empty() || options.product.peft || !options.on.empty())
    return Status(Code::invalid,
                  "a gate is a file that --kv reads, no adapter: -o FILE.gguf, no --peft or --on");
  if (options.lesson.plan.gradient.empty()) return {};
  return Status(Code::invalid, "a gate learns by whole gradients, not by " + options.lesson.plan.gradient);
}

}  // namespace

Result<int> run_learn(Args& args, Console& console) {
  Options options = TRY(read_options(args));
  LessonOptions& lesson = options.lesson;
  const bool whole = !lesson.recipe.adapter();
  if (whole && !options.product.cube.empty()) {
    return Status(Code::invalid, "recipe " + lesson.recipe.name + " makes another model: -o FILE.gguf");
  }
  if (whole && (options.product.peft || !options.on.empty())) {
    return Status(Code::invalid,
                  "--on and --peft are of adapters, and recipe " + lesson.recipe.name + " is none");
  }
  TRY(check_gate(options));
  if (lesson.threads == 0) lesson.threads = std::max(1, int(std::thread::hardware_concurrency()));
  if (lesson.budget_bytes == 0) lesson.budget_bytes = machine_bytes() / 2;
  Ledger ledger(lesson.budget_bytes - kFloor, kFloor);
  const int32_t rows = TRY(rows_of(lesson));
  const auto made = TRY(whole ? pupil_of_weights(options, ledger) : fitting_pupil(options, rows, ledger));
  if (lesson.plan_only) {
    print_bytes(TRY(Lesson::bytes(*made->network, made->parts, lesson.plan, rows, lesson.threads)),
                made->base_bytes(), lesson, console);
    TRY(print_recipes(*made->network, made->parts, lesson, rows, made->base_bytes(), console));
    return 0;
  }
  TRY(check_budget(*made->network, made->parts, lesson, rows, ledger.limit() - ledger.used()));
  if (!whole && made->model->weights().streams() && !lesson.json) {
    console.out << "The model's weights are read from disk as they are needed; "
                << format_bytes(made->base_bytes()) << " of them stay in memory" << std::endl;
  }
  TRY(learn(options, *made, ledger, console));
  return 0;
}

}  // namespace varve

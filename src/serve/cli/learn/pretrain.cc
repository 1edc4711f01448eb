// varve pretrain: a small model from nothing: a vocabulary from the text, then the weights, then a GGUF file.
// Beside the file stands a folder FILE.work with vocabulary and checkpoint; the same command goes on from it,
// and --after FILE makes it the next stage of another.
#include <functional>
#include <ostream>
#include <thread>

#include "core/base/hash.h"
#include "core/base/process.h"
#include "learn/data/bpe_training.h"
#include "learn/data/token_run.h"
#include "learn/data/vocabulary_text.h"
#include "learn/data/world_batches.h"
#include "learn/tune/model_file.h"
#include "run/model/arch/family.h"
#include "serve/cli/builtin.h"
#include "serve/cli/learn/lesson.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

constexpr int64_t kMostText = int64_t(8) << 30;
constexpr const char* kActivation = "llama.hidden_activation";
constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger
constexpr uint64_t kVocabularyItems = 20000;
constexpr int32_t kHeldOut = 64;  // one window in so many is not learnt from, at the end of the text

struct Options {
  LessonOptions lesson;
  FreshShape shape;
  std::vector<std::string> texts;
  std::string out, name, type = "bf16", words = "qwen2";
  std::optional<std::string> world;  // the mixture, instead of texts
  std::string after;
  float context_weight = 0.1f, temperature = -1;
  bool tied = true;
  std::string work() const { return out + ".work"; }
};

Result<Options> read_options(Args& args) {
  Options options;
  options.lesson.length = 512, options.lesson.sequences = 4;
  options.lesson.recipe = TRY(read_recipe("full"));
  TRY(read_lesson_options(args, options.lesson));
  if (options.lesson.recipe.adapter()) {
    return Status(Code::invalid,
                  "recipe " + options.lesson.recipe.name + " needs a model to learn over: varve learn");
  }
  FreshShape& shape = options.shape;
  TRY(args.number<int32_t>("--layers", shape.layers, 1, 1024));
  TRY(args.number<int32_t>("--width", shape.width, 8, 1 << 16));
  TRY(args.number<int32_t>("--hidden", shape.hidden, 8, 1 << 18));
  TRY(args.number<int32_t>("--heads", shape.heads, 1, 1024));
  TRY(args.number<int32_t>("--kv-heads", shape.kv_heads, 1, 1024));
  TRY(args.number<int32_t>("--vocabulary", shape.vocabulary, 259, 1 << 20));
  TRY(args.number<float>("--rope-base", shape.rope_base, 2, 1e9f));
  if (auto name = TRY(args.value("--activation"))) {
    shape.activation = TRY(arch::activation_named(*name).with("--activation"));
  }
  TRY(args.number<int32_t>("--experts", shape.experts, 0, 1024));
  TRY(args.number<int32_t>("--used", shape.used, 1, 1024));
  shape.context = options.lesson.length;
  TRY(args.number<int32_t>("--context", shape.context, options.lesson.length, 1 << 20));
  TRY(args.number<float>("--context-weight", options.context_weight, 0, 1));
  TRY(args.number<float>("--temperature", options.temperature, 0, 100));
  options.world = TRY(args.value("--world"));
  options.after = TRY(args.value("--after")).value_or("");
  options.tied = !args.flag("--untied");
  if (auto text = TRY(args.value("--type"))) options.type = *text;
  if (auto text = TRY(args.value("--words"))) options.words = *text;
  options.out = TRY(args.value("-o")).value_or("");
  options.name = TRY(args.value("--name")).value_or("varve");
  options.texts = TRY(args.rest(options.world ? 0 : 1, options.world ? 0 : 10000,
                                options.world ? "no texts beside --world" : "the text files to learn from"));
  if (options.out.empty()) return Status(Code::invalid, "say where the model goes: -o FILE.gguf");
  return options;
}

struct Corpus {
  std::vector<std::unique_ptr<Mapping>> files;
  std::vector<std::string_view> texts;
};

Result<Corpus> open_corpus(const Options& options) {
  Corpus corpus;
  for (const std::string& path : options.texts) {
    corpus.files.push_back(TRY(posix_env().map(path)));
    const auto bytes = corpus.files.back()->bytes();
    if (bytes.empty()) return Status(Code::invalid, path + " is empty");
    if (int64_t(bytes.size()) > kMostText) return Status(Code::invalid, path + " is larger than 8 GiB");
    corpus.texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return corpus;
}

void copy_tokenizer(const Gguf& from, GgufWriter& to) {
  for (const auto& [key, value] : from.metadata()) {
    if (key.starts_with("tokenizer.")) to.set(key, value);
  }
}

struct Speech {  // the vocabulary, as metadata and at work
  Gguf gguf;
  std::unique_ptr<Tokenizer> tokenizer;
};

using Texts = std::function<std::vector<std::string_view>()>;

// The earlier stage's, or learnt from the texts.
Status make_vocabulary(const Options& options, const Texts& texts, const std::string& path, Ledger& ledger,
                       Console& console) {
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  if (!options.after.empty()) {
    const auto mapping = TRY(posix_env().map(options.after + ".work/vocabulary.gguf").with("--after"));
    copy_tokenizer(TRY(Gguf::parse(mapping->bytes())), writer);
  } else {
    BpeShape shape{.vocabulary = options.shape.vocabulary, .words = options.words};
    if (!options.lesson.json) console.out << "learning " << shape.vocabulary << " tokens" << std::endl;
    set_tokenizer(TRY(train_bpe(texts(), shape, ledger)), writer);
  }
  writer.set(kActivation, std::string(arch::name_of(options.shape.activation)));
  return writer.write(posix_env(), path);
}

Result<Speech> speech(const Options& options, const Texts& texts, Ledger& ledger, Console& console) {
  const std::string path = options.work() + "/vocabulary.gguf";
  if (options.lesson.fresh || !TRY(posix_env().exists(path))) {
    TRY(make_vocabulary(options, texts, path, ledger, console));
  }
  const auto mapping = TRY(posix_env().map(path));
  Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
  auto tokenizer = TRY(open_tokenizer(gguf, ledger).with("reading " + path));
  if (tokenizer->size() != options.shape.vocabulary) {
    return Status(Code::conflict, path + " has " + std::to_string(tokenizer->size()) +
                                      " tokens: begin anew with --fresh, or ask for as many");
  }
  const std::string own(arch::name_of(options.shape.activation));
  const std::string began = gguf.find(kActivation) == nullptr ? "silu" : TRY(gguf.string(kActivation));
  if (began != own) {
    return Status(Code::conflict, path + " was begun with --activation " + began +
                                      ": begin anew with --fresh, or go on with the same");
  }
  return Speech{std::move(gguf), std::move(tokenizer)};
}

struct Model {
  Parts parts;
  std::unique_ptr<Network> network;
};

Result<std::unique_ptr<Model>> model_of(const Options& options) {
  auto model = std::make_unique<Model>();
  FullSource source(options.tied, model->parts);
  model->network = TRY(Network::make(TRY(fresh_spec(options.shape)), source));
  return model;
}

Status write_out(const Options& options, const Speech& speech, const Parts& parts, const Json& made,
                 Ledger& ledger) {
  GgufWriter writer;
  copy_tokenizer(speech.gguf, writer);
  writer.set("varve.lesson", made.dump());
  writer.set("general.name", options.name);
  if (options.temperature >= 0) writer.set("general.sampling.temp", options.temperature);
  return write_model(options.shape, parts, *TRY(codec_named(options.type)), writer, posix_env(), options.out,
                     ledger);
}

// The text but for its end, and its end.
struct Split {
  std::span<const int32_t> learnt, held_out;
};
Split split(std::span<const int32_t> tokens, int32_t length) {
  const size_t windows = tokens.size() / size_t(length), out = windows / kHeldOut;
  const size_t first = (windows - out) * size_t(length);
  return out == 0 ? Split{tokens, tokens} : Split{tokens.first(first + 1), tokens.subspan(first)};
}

// What is learnt from, and what is not but asked at the end.
struct Source {
  std::unique_ptr<Batches> learnt, held_out;
  std::string words;       // how much there is
  Json feed;               // what it is
  int64_t held_out_count;  // batches
};

// Texts or a world, kept as long as its batches are read.
class Reading {
 public:
  virtual ~Reading() = default;
  virtual Result<Speech> speech(const Options& options, Ledger& ledger, Console& console) = 0;
  virtual Result<Source> source(const Options& options, const Speech& speech, Ledger& ledger) = 0;
};

class TextReading : public Reading {
 public:
  Result<Speech> speech(const Options& options, Ledger& ledger, Console& console) override {
    corpus_ = TRY(open_corpus(options));
    return varve::speech(
        options, [this] { return corpus_.texts; }, ledger, console);
  }
  Result<Source> source(const Options& options, const Speech& speech, Ledger& ledger) override {
    run_ = TRY(TokenRun::make(ledger));
    const int32_t end = speech.tokenizer->special().eos.value_or(-1);
    for (const std::string_view text : corpus_.texts) TRY(run_->add(*speech.tokenizer, text, end));
    const LessonOptions& lesson = options.lesson;
    const Split tokens = split(run_->tokens(), lesson.length);
    TokenWindows::Shape shape{lesson.length, lesson.sequences, lesson.plan.parts, end, lesson.plan.seed};
    auto learnt = std::make_unique<TokenWindows>(tokens.learnt, shape);
    shape.in_order = true, shape.parts = 1;
    auto held_out = std::make_unique<TokenWindows>(tokens.held_out, shape);
    const int64_t count = held_out->windows() / shape.sequences;
    Json feed = Json::array();
    for (size_t i = 0; i < corpus_.texts.size(); ++i) {
      feed.push(Json::object().set("file", options.texts[i]).set("sha256", sha256(corpus_.texts[i]).hex()));
    }
    return Source{std::move(learnt), std::move(held_out), std::to_string(tokens.learnt.size()) + " tokens",
                  std::move(feed), count};
  }

 private:
  Corpus corpus_;
  std::optional<TokenRun> run_;
};

// Answers of the evaluation's split are what is asked at the end.
class WorldReading : public Reading {
 public:
  Result<Speech> speech(const Options& options, Ledger& ledger, Console& console) override {
    const uint64_t seed = options.lesson.plan.seed;
    learnt_ = TRY(world::World::make(*options.world, world::Split::train, seed));
    held_out_ = TRY(world::World::make(*options.world, world::Split::eval, seed));
    std::string text;
    const Texts texts = [&] {
      text = vocabulary_text(*learnt_, kVocabularyItems);
      return std::vector<std::string_view>{text};
    };
    return varve::speech(options, texts, ledger, console);
  }
  Result<Source> source(const Options& options, const Speech& speech, Ledger&) override {
    template_.emplace(TRY(ChatTemplate::parse(TRY(speech.gguf.string("tokenizer.chat_template")))));
    const LessonOptions& lesson = options.lesson;
    WorldBatches::Shape shape{.rows = lesson.length * lesson.sequences,
                              .parts = lesson.plan.parts,
                              .context = options.context_weight,
                              .feed = {lesson.length, speech.tokenizer.get(), &*template_}};
    auto learnt = std::make_unique<WorldBatches>(*learnt_, shape);
    shape.parts = 1, shape.context = 0;
    return Source{std::move(learnt), std::make_unique<WorldBatches>(*held_out_, shape), "a world",
                  Json::object().set("world", *options.world), 16};
  }

 private:
  std::optional<world::World> learnt_, held_out_;
  std::optional<ChatTemplate> template_;
};

Status begin(const Options& options, Model& model, Lesson& lesson, const std::string& checkpoint) {
  if (!options.lesson.fresh && TRY(posix_env().exists(checkpoint))) {
    return lesson.load(posix_env(), checkpoint).status().with("going on; --fresh begins anew");
  }
  if (!options.after.empty()) return lesson.follow(posix_env(), options.after + ".work/checkpoint");
  draw_values(model.parts, options.shape.layers, options.lesson.plan.seed);
  return {};
}

Result<int> learn(const Options& options, Model& model, Ledger& ledger, Console& console) {
  TRY(posix_env().make_folder(options.work()));
  std::unique_ptr<Reading> reading;
  if (options.world)
    reading = std::make_unique<WorldReading>();
  else
    reading = std::make_unique<TextReading>();
  const Speech words = TRY(reading->speech(options, ledger, console));
  const Source source = TRY(reading->source(options, words, ledger));
  const LessonOptions& lesson_options = options.lesson;
  TRY(model.parts.allocate(ledger));
  ThreadPool pool(lesson_options.threads);
  std::unique_ptr<File> spill;
  const std::string checkpoint = options.work() + "/checkpoint", spilled = options.work() + "/activations";
  if (lesson_options.plan.keep == KeepMode::spill) {
    if (TRY(posix_env().exists(spilled))) TRY(posix_env().remove(spilled));
    spill = TRY(posix_env().open(spilled, Open::create));
  }
  auto lesson = TRY(Lesson::make(*model.network, model.parts, lesson_options.plan, source.learnt->rows(),
                                 pool, ledger, std::move(spill)));
  TRY(begin(options, model, *lesson, checkpoint));
  if (!lesson_options.json) {
    console.out << model.parts.values() << " values learn from " << source.words << std::endl;
  }
  TRY(run_lesson(*lesson, *source.learnt, lesson_options, checkpoint, console));
  const auto count = int32_t(std::clamp<int64_t>(source.held_out_count, 1, 16));
  const double loss = TRY(lesson->evaluate(*source.held_out, count));
  lesson.reset();  // its bytes are needed to encode the model
  Json made =
      Json::object().set("recipe", lesson_options.recipe.name).set("plan", lesson_options.plan.json());
  made.set("steps", lesson_options.plan.steps).set("feed", source.feed).set("held_out_loss", loss);
  TRY(write_out(options, words, model.parts, made, ledger));
  if (TRY(posix_env().exists(spilled))) TRY(posix_env().remove(spilled));
  Json json = Json::object();
  json.set("model", options.out).set("held_out_loss", loss);
  if (options.lesson.json) {
    console.out << json.dump() << "\n";
  } else {
    console.out << "Wrote " << options.out << "; loss on text that it has not seen: " << loss << "\n";
  }
  return 0;
}

}  // namespace

Result<int> run_pretrain(Args& args, Console& console) {
  Options options = TRY(read_options(args));
  LessonOptions& lesson = options.lesson;
  if (lesson.threads == 0) lesson.threads = std::max(1, int(std::thread::hardware_concurrency()));
  if (lesson.budget_bytes == 0) lesson.budget_bytes = machine_bytes() / 2;
  const auto model = TRY(model_of(options));
  const int32_t rows = lesson.length * lesson.sequences;
  if (lesson.plan_only) {
    print_bytes(TRY(Lesson::bytes(*model->network, model->parts, lesson.plan, rows, lesson.threads)), 0,
                lesson, console);
    TRY(print_recipes(*model->network, model->parts, lesson, rows, 0, console));
    return 0;
  }
  TRY(check_budget(*model->network, model->parts, lesson, rows, lesson.budget_bytes - kFloor));
  Ledger ledger(lesson.budget_bytes - kFloor, kFloor);
  return learn(options, *model, ledger, console);
}

}  // namespace varve

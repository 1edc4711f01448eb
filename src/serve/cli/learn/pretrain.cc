// varve pretrain: a small model from nothing: a vocabulary from the text, then the weights, then a GGUF file.
// Beside the file stands a folder FILE.work with vocabulary and checkpoint; the same command goes on from it.
#include <ostream>
#include <thread>

#include "core/base/process.h"
#include "learn/data/bpe_training.h"
#include "learn/data/token_run.h"
#include "learn/tune/model_file.h"
#include "serve/cli/builtin.h"
#include "serve/cli/learn/lesson.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

constexpr int64_t kMostText = int64_t(8) << 30;
constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger
constexpr int32_t kHeldOut = 64;      // one window in so many is not learnt from, at the end of the text

struct Options {
  LessonOptions lesson;
  FreshShape shape;
  std::vector<std::string> texts;
  std::string out, name, type = "bf16", words = "qwen2";
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
  shape.context = options.lesson.length;
  options.tied = !args.flag("--untied");
  if (auto text = TRY(args.value("--type"))) options.type = *text;
  if (auto text = TRY(args.value("--words"))) options.words = *text;
  options.out = TRY(args.value("-o")).value_or("");
  options.name = TRY(args.value("--name")).value_or("varve");
  options.texts = TRY(args.rest(1, 10000, "the text files to learn from"));
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

struct Speech {  // the vocabulary, as metadata and at work
  Gguf gguf;
  std::unique_ptr<Tokenizer> tokenizer;
};

Result<Speech> speech(const Options& options, const Corpus& corpus, Ledger& ledger, Console& console) {
  const std::string path = options.work() + "/vocabulary.gguf";
  if (options.lesson.fresh || !TRY(posix_env().exists(path))) {
    BpeShape shape{.vocabulary = options.shape.vocabulary, .words = options.words};
    if (!options.lesson.json) console.out << "learning " << shape.vocabulary << " tokens" << std::endl;
    GgufWriter writer;
    set_tokenizer(TRY(train_bpe(corpus.texts, shape, ledger)), writer);
    TRY(writer.set("general.architecture", "llama").write(posix_env(), path));
  }
  const auto mapping = TRY(posix_env().map(path));
  Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
  auto tokenizer = TRY(open_tokenizer(gguf, ledger).with("reading " + path));
  if (tokenizer->size() != options.shape.vocabulary) {
    return Status(Code::conflict, path + " has " + std::to_string(tokenizer->size()) +
                                      " tokens: begin anew with --fresh, or ask for as many");
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

Status write_out(const Options& options, const Speech& speech, const Parts& parts, Ledger& ledger) {
  GgufWriter writer;
  for (const auto& [key, value] : speech.gguf.metadata()) {
    if (key.starts_with("tokenizer.")) writer.set(key, value);
  }
  writer.set("general.name", options.name);
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

Result<int> learn(const Options& options, Model& model, Ledger& ledger, Console& console) {
  const Corpus corpus = TRY(open_corpus(options));
  TRY(posix_env().make_folder(options.work()));
  const Speech words = TRY(speech(options, corpus, ledger, console));
  TokenRun run = TRY(TokenRun::make(ledger));
  const int32_t end = words.tokenizer->special().eos.value_or(-1);
  for (const std::string_view text : corpus.texts) TRY(run.add(*words.tokenizer, text, end));
  const LessonOptions& lesson_options = options.lesson;
  const Split tokens = split(run.tokens(), lesson_options.length);
  TokenWindows::Shape windows{lesson_options.length, lesson_options.sequences, lesson_options.plan.parts, end,
                              lesson_options.plan.seed};
  const TokenWindows batches(tokens.learnt, windows);
  windows.in_order = true, windows.parts = 1;
  const TokenWindows held_out(tokens.held_out, windows);

  TRY(model.parts.allocate(ledger));
  draw_values(model.parts, options.shape.layers, lesson_options.plan.seed);
  ThreadPool pool(lesson_options.threads);
  std::unique_ptr<File> spill;
  const std::string checkpoint = options.work() + "/checkpoint", spilled = options.work() + "/activations";
  if (lesson_options.plan.keep == KeepMode::spill) {
    if (TRY(posix_env().exists(spilled))) TRY(posix_env().remove(spilled));
    spill = TRY(posix_env().open(spilled, Open::create));
  }
  auto lesson = TRY(Lesson::make(*model.network, model.parts, lesson_options.plan, batches.rows(), pool,
                                 ledger, std::move(spill)));
  if (!lesson_options.fresh && TRY(posix_env().exists(checkpoint))) {
    TRY(lesson->load(posix_env(), checkpoint).status().with("going on; --fresh begins anew"));
  }
  if (!lesson_options.json) {
    console.out << model.parts.values() << " values learn from " << tokens.learnt.size() << " tokens"
                << std::endl;
  }
  TRY(run_lesson(*lesson, batches, lesson_options, checkpoint, console));
  const auto count =
      int32_t(std::min<int64_t>(16, std::max<int64_t>(1, held_out.windows() / windows.sequences)));
  const double loss = TRY(lesson->evaluate(held_out, count));
  lesson.reset();  // its bytes are needed to encode the model
  TRY(write_out(options, words, model.parts, ledger));
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

// What becomes of a model that is compressed: for each recipe the bits a weight, perplexity on a text that
// nothing was calibrated by, how often its likeliest token is the base's, the divergence from the base, and
// tokens a second when it writes. Plain formats are rows of the same run; what stands after '/' is the plain
// format of the same bytes. A file of residual blocks (bitstack) is measured with all of them, and again with
// as many as stay in less and less memory: the curve of what a budget buys.
//
// Options: model=FILE, calibrate=TEXT, data=TEXT (another), recipes=A/B/... with ';' for ':' and '~' for ',';
// default: all here; only=PART of a recipe's name, tokens=16384 to calibrate by, test=6000 tokens, threads=0,
// speed=32 tokens to write, progress=1.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "core/io/env.h"
#include "learn/compress/answers.h"
#include "learn/compress/compress.h"
#include "run/weights/stream_plan.h"

namespace varve::eval {
namespace {

struct Row {
  const char *recipe, *beside;  // the plain format that it is to beat
};
constexpr Row kRows[] = {
    {"q8_0", ""},
    {"q6_k", ""},
    {"q5_k", ""},
    {"q4_k", ""},
    {"iq4_xs", ""},
    {"q4_0", ""},
    {"q3_k", ""},
    {"q2_k", ""},
    {"tq2_0", ""},
    {"q4_0+search:calibrated=0", "q4_0"},
    {"q4_0+search", "q4_0"},
    {"q4_0+gptq", "q4_k"},
    {"q4_k+search", "q4_k"},
    {"q4_k+gptq", "q4_k"},
    {"iq4_xs+gptq", "q4_k"},
    {"q3_k+search", "q3_k"},
    {"q3_k+gptq", "q3_k"},
    {"q2_k+search", "q2_k"},
    {"q2_k+gptq", "q2_k"},
    {"q3_k+omniquant", "q3_k+gptq"},
    {"q2_k+omniquant", "q2_k+gptq"},
    {"tq2_0+search", "tq2_0"},
    {"tq2_0+gptq", "tq2_0"},
    {"target=4.5bpw:measured=0", "q4_k"},
    {"target=4.5bpw:measured=0+gptq", "q4_k"},
    {"target=4.5bpw+gptq", "q4_k"},
    {"smooth+q3_k", "q3_k"},
    {"target=3.4375bpw+gptq", "q3_k"},
    {"target=2.75bpw+gptq", "q2_k"},
    {"target=3.4375bpw:by=search+gptq", "target=3.4375bpw+gptq"},
    {"target=2.75bpw:by=search+gptq", "target=2.75bpw+gptq"},
    {"flap:share=0.33+q4_k+gptq", "q3_k"},
    {"slim2", "q2_k"},
    {"slim2+search", "q2_k+search"},
    {"slim2+gptq", "q2_k+gptq"},
    {"slim2+omniquant", "q2_k+omniquant"},
    {"bitmod3", "q3_k"},
    {"bitmod3+gptq", "q3_k+gptq"},
    {"bitmod4", "iq4_xs"},
    {"bitmod4+gptq", "iq4_xs+gptq"},
    {"q2_k+codebook:bits=2", "q2_k"},
    {"q2_k+codebook:bits=2+gptq", "q2_k+gptq"},
    {"q3_k+codebook:bits=3", "bitmod3"},
    {"q3_k+codebook:bits=3+gptq", "bitmod3+gptq"},
    {"q4_k+codebook:bits=4+gptq", "bitmod4+gptq"},
    {"rf8", "q8_0"},
    {"dgq4", "iq4_xs"},
    {"dgq4+gptq", "iq4_xs+gptq"},
    {"bp2+gptq", "slim2+gptq"},
    {"bp2+omniquant", "slim2+omniquant"},
    {"bp3+gptq", "q3_k+gptq"},
    {"bp4+gptq", "iq4_xs+gptq"},
    {"target=3.4375bpw:by=correlation+gptq", "q3_k+gptq"},
    {"target=4.5bpw:by=correlation+gptq", "q4_k+gptq"},
    {"q4_1", ""},
    {"q4_0+easyquant", "q4_1"},
    {"q3_k+easyquant", "q3_k"},
    {"q2_k+easyquant", "q2_k"},
    {"s4_0+wanda", "q3_k"},
    {"s4_0", "q3_k"},
    {"slicegpt+q4_k+gptq", "q3_k"},
    {"q2_k+lorc", "q3_k"},
    {"q2_k+gptq+bitstack", "q5_k"},
};

struct Options {
  std::string model, calibrate, data, only, recipes;
  int64_t tokens = 16384, test = 6000;
  int threads = 0, speed = 32, progress = 1;
};

Result<Options> read(const Spec& given) {
  Options options;
  Spec numbers = given;
  for (const auto& [key, value] : {std::pair<const char*, std::string*>{"model", &options.model},
                                   {"calibrate", &options.calibrate},
                                   {"data", &options.data},
                                   {"recipes", &options.recipes},
                                   {"only", &options.only}}) {
    const auto found = numbers.options.find(key);
    if (found == numbers.options.end()) continue;
    *value = found->second;
    numbers.options.erase(found);
  }
  TRY(OptionReader(numbers)
          .read("tokens", options.tokens, int64_t(64), int64_t(1) << 40)
          .read("test", options.test, int64_t(64), int64_t(1) << 40)
          .read("threads", options.threads, 0, 1024)
          .read("speed", options.speed, 0, 10000)
          .read("progress", options.progress, 0, 1)
          .done());
  if (options.model.empty() || options.calibrate.empty() || options.data.empty())
    return Status(Code::not_found, "name a model and two texts: model=FILE calibrate=TEXT data=TEXT");
  std::replace(options.recipes.begin(), options.recipes.end(), ';', ':');
  std::replace(options.recipes.begin(), options.recipes.end(), '~', ',');
  return options;
}

constexpr int kCurve = 4;  // steps of memory

struct Figures {
  double bits = 0, perplexity = 0, agreed = 0, kl = 0, tokens_per_s = 0;
};

class Lab {
 public:
  static Result<std::unique_ptr<Lab>> open(const Options& options) {
    std::unique_ptr<Lab> lab(new Lab(options));
    lab->base_ = TRY(open_model(posix_env(), options.model, lab->ledger_));
    const auto text = TRY(read_calibration(posix_env(), options.data, *lab->base_, options.test,
                                           options_length(), lab->ledger_));
    lab->answers_ = TRY(Answers::make(*lab->base_, text.texts, lab->ops_, lab->ledger_));
    return lab;
  }
  Result<Figures> base() { return measure(*base_, 0); }
  // By name: the recipe's, and what its blocks give by less memory.
  Result<std::vector<std::pair<std::string, Figures>>> take(const std::string& text) {
    const std::string out = folder_ / "model.gguf";
    const CompressOptions how{.model = options_.model,
                              .out = out,
                              .calibrate = options_.calibrate,
                              .tokens = options_.tokens,
                              .length = options_length()};
    const auto recipe = TRY(parse_compress_recipe(text));
    const auto report = TRY(compress_model(posix_env(), how, recipe, threads_, ledger_,
                                           [](std::string_view, int64_t, int64_t) {}));
    const auto model = TRY(open_model(posix_env(), out, ledger_));
    std::vector<std::pair<std::string, Figures>> all = {{text, TRY(measure(*model, report.bits()))}};
    if (Streaming* blocks = model->weights().streaming()) {
      const int64_t most = blocks->plan().pass_bytes;
      for (int part = kCurve - 1; part >= 0; --part) {
        blocks->keep(most * part / kCurve);
        const int64_t bytes = report.bytes - most + blocks->counts().resident_bytes;
        const std::string share = std::to_string(100 * part / kCurve);
        all.emplace_back(text + " in " + share + " %",
                         TRY(measure(*model, 8 * double(bytes) / double(report.elements))));
      }
    }
    TRY(posix_env().remove(out));
    return all;
  }

 private:
  explicit Lab(const Options& options)
      : options_(options),
        threads_(options.threads > 0 ? options.threads
                                     : int(std::max(1u, std::thread::hardware_concurrency()))) {}
  static int32_t options_length() { return 256; }

  Result<Figures> measure(const Model& model, double bits) {
    const Compared all = TRY(answers_.compare(model, nullptr, ops_, ledger_));
    return Figures{bits, std::exp(all.nats), 100 * all.agreed, all.kl, TRY(speed(model))};
  }

  Result<double> speed(const Model& model) {
    if (options_.speed == 0) return 0.0;
    Ops fast(threads_, Ops::Precision::fast);
    const int32_t vocabulary = model.shape().vocabulary, output = 0;
    Scratch scratch =
        TRY(Scratch::make(ledger_, model.scratch_bytes(1, 1) + Scratch::bytes_for(1, vocabulary)));
    const auto kv = TRY(make_kv_cache(TRY(make_kv_pool(ledger_, model.shape().kv, {}))));
    TRY(kv->reserve(options_.speed));
    double best = 1e9;
    for (int32_t place = 0; place < options_.speed; ++place) {
      const Token token = 100;
      const Segment segment{0, 1, kv.get(), nullptr};
      const int64_t mark = scratch.mark();
      Rows logits = scratch.take(1, vocabulary);
      Status status;
      best = std::min(best, bench::seconds([&] {
                        status = model.forward({{&token, 1}, {&place, 1}, {&segment, 1}, {&output, 1}}, fast,
                                               scratch, logits);
                      }));
      TRY(std::move(status));
      scratch.release(mark);
    }
    return 1 / best;
  }

  struct Folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("varve-compress-" + std::to_string(getpid()));
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    std::string operator/(const char* name) const { return path / name; }
  };

  const Options& options_;
  Folder folder_;
  Ledger ledger_{int64_t(8) << 30};
  ThreadPool threads_;
  Ops ops_{threads_};
  std::shared_ptr<const Model> base_;
  Answers answers_;
};

void add(const std::string& name, const Figures& figures, const std::string& beside, const Figures& other,
         std::vector<Measure>& out) {
  const auto row = [&](const char* what, double value, const char* unit, double baseline) {
    out.push_back({.name = name + ", " + what,
                   .value = value,
                   .unit = unit,
                   .baseline_name = beside,
                   .baseline = beside.empty() ? 0 : baseline});
  };
  row("size", figures.bits, "bits a weight", other.bits);
  row("perplexity", figures.perplexity, "", other.perplexity);
  row("same likeliest token", figures.agreed, "%", other.agreed);
  row("divergence", figures.kl, "nats", other.kl);
  row("writing", figures.tokens_per_s, "tokens/s", other.tokens_per_s);
}

std::vector<std::pair<std::string, std::string>> rows_of(const Options& options) {
  std::vector<std::pair<std::string, std::string>> rows;
  if (options.recipes.empty()) {
    for (const Row& row : kRows) rows.emplace_back(row.recipe, row.beside);
  }
  for (size_t at = 0; at < options.recipes.size();) {
    const size_t end = std::min(options.recipes.find('/', at), options.recipes.size());
    rows.emplace_back(options.recipes.substr(at, end - at), "");
    at = end + 1;
  }
  std::erase_if(rows, [&](const auto& row) { return row.first.find(options.only) == std::string::npos; });
  return rows;
}

}  // namespace

Result<std::vector<Measure>> compress(const Spec& given) {
  const Options options = TRY(read(given));
  auto lab = TRY(Lab::open(options));
  std::vector<Measure> out;
  std::map<std::string, Figures> known;
  const auto keep = [&](const std::string& name, const std::string& beside, const Figures& figures) {
    if (options.progress == 1) {
      std::fprintf(stderr, "%-36s %7.3f bits  perplexity %8.4f  agrees %6.2f %%  KL %.5f  %8.0f tokens/s\n",
                   name.c_str(), figures.bits, figures.perplexity, figures.agreed, figures.kl,
                   figures.tokens_per_s);
    }
    known[name] = figures;
    const auto found = known.find(beside);
    add(name, figures, found == known.end() ? "" : beside, found == known.end() ? Figures{} : found->second,
        out);
  };
  keep("base", "", TRY(lab->base()));
  for (const auto& [recipe, beside] : rows_of(options)) {
    const auto taken = TRY(lab->take(recipe));
    for (const auto& [name, figures] : taken) keep(name, beside, figures);
  }
  return out;
}

}  // namespace varve::eval

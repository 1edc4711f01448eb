// kv_stream: a text far longer than a model's context, through a KV cache that is cut to a budget: bytes and
// speed of its last tenth beside those of its first, and whether the model still predicts. A model file with
// a tokenizer reads prose of the world; one without, and a random one, any tokens.
//
// Options: model=FILE (default: a random one), kv=RECIPE, tokens=20000 (200000 is what it is for), threads=0,
// nearer=0: what is read beyond the trained length stays as far away as it lies. A recipe with ram_tokens
// writes to the temporary folder. progress=1: each tenth on stderr when it is read.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <thread>

#include "bench/bench.h"
#include "bench/macro/random_llama.h"
#include "core/base/process.h"
#include "learn/world/world.h"
#include "run/engine/capacity.h"
#include "run/kv/kv_pool.h"
#include "run/kv/kv_swap.h"

namespace varve::bench {
namespace {

constexpr int kTenths = 10;

struct Settings {
  std::string model, kv = "policy=streaming budget_tokens=512";
  int tokens = 20000, threads = 0, nearer = 1, progress = 0;
  LlamaShape shape{.layers = 4,
                   .width = 256,
                   .hidden = 768,
                   .heads = 4,
                   .kv_heads = 2,
                   .vocabulary = 2048,
                   .context = 4096};
};

Result<Settings> read_settings(const Spec& given) {
  Settings set;
  Spec options = given;
  if (auto model = options.options.extract("model")) set.model = model.mapped();
  if (auto kv = options.options.extract("kv")) set.kv = kv.mapped();
  TRY(OptionReader(options)
          .read("tokens", set.tokens, 10 * kPageTokens, 1 << 28)
          .read("threads", set.threads, 0, 1024)
          .read("nearer", set.nearer, 0, 1)
          .read("progress", set.progress, 0, 1)
          .done());
  return set;
}

// Prose without end, as far as a model can read it.
class Text {
 public:
  static Result<Text> make(const Model& model) {
    return Text(model, TRY(world::World::make("prose", world::Split::eval, 1)));
  }
  void next(size_t count, std::vector<Token>& out) {
    while (ready_.size() < count) {
      if (const Tokenizer* tokenizer = model_->tokenizer()) {
        tokenizer->encode(world_.item(item_++).text + "\n\n", false, ready_);
      } else {
        ready_.push_back(Token(item_++ * 7919 % uint64_t(model_->shape().vocabulary)));
      }
    }
    out.assign(ready_.begin(), ready_.begin() + ptrdiff_t(count));
    ready_.erase(ready_.begin(), ready_.begin() + ptrdiff_t(count));
  }

 private:
  Text(const Model& model, world::World world) : model_(&model), world_(std::move(world)) {}
  const Model* model_;
  world::World world_;
  uint64_t item_ = 0;
  std::vector<Token> ready_;
};

struct Tenth {
  double seconds = 0, cpu_seconds = 0, nats = 0;
  int64_t tokens = 0, resident_bytes = 0, kv_bytes = 0, kept = 0, read = 0, fetched = 0;
};

class Stream {
 public:
  static Result<std::unique_ptr<Stream>> make(std::shared_ptr<const Model> model, const Settings& set,
                                              Ledger& ledger, ThreadPool& pool) {
    Text text = TRY(Text::make(*model));
    auto stream = std::unique_ptr<Stream>(new Stream(std::move(model), pool, std::move(text)));
    const Model& of = *stream->model_;
    stream->scratch_ = TRY(Scratch::make(ledger, of.scratch_bytes(kPageTokens, kPageTokens) +
                                                     Scratch::bytes_for(kPageTokens, of.shape().vocabulary)));
    const KvRecipe recipe = TRY(parse_kv_recipe(set.kv));
    const auto pool_of = TRY(make_kv_pool(ledger, of.shape().kv, recipe));
    if (set.nearer != 0) pool_of->positions = positions_of(of);
    if (recipe.ram_tokens > 0) {
      const std::string folder =
          std::filesystem::temp_directory_path().string() + "/varve-pages-" + std::to_string(getpid());
      pool_of->disk = TRY(KvSwap::open(posix_env(), folder, int64_t(1) << 40));
      TRY(posix_env().remove(folder));  // its file has no name any more
    }
    stream->kv_ = TRY(make_kv_cache(pool_of));
    TRY(stream->kv_->reserve(set.tokens));
    return stream;
  }

  Result<Tenth> read(int64_t tokens) {
    using Clock = std::chrono::steady_clock;
    Tenth tenth;
    const auto start = Clock::now();
    const std::clock_t cpu_start = std::clock();
    const KvCounts before = kv_->counts();
    for (; tenth.tokens < tokens; tenth.tokens += kPageTokens) TRY(page(tenth));
    tenth.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    tenth.cpu_seconds = double(std::clock() - cpu_start) / CLOCKS_PER_SEC;
    tenth.resident_bytes = resident_bytes();
    tenth.kv_bytes = kv_->bytes();
    const KvCounts after = kv_->counts();
    tenth.kept = after.kept, tenth.read = after.read - before.read,
    tenth.fetched = after.fetched - before.fetched;
    return tenth;
  }

 private:
  Stream(std::shared_ptr<const Model> model, ThreadPool& pool, Text text)
      : model_(std::move(model)), ops_(pool, Ops::Precision::fast), text_(std::move(text)) {}

  Status page(Tenth& tenth) {
    text_.next(kPageTokens, tokens_);
    if (last_ >= 0) add(last_row_, tokens_[0], tenth);
    std::vector<int32_t> positions, outputs;
    for (int32_t i = 0; i < kPageTokens; ++i) {
      positions.push_back(kv_->tokens() + i);
      outputs.push_back(i);
    }
    const Segment segment{0, kPageTokens, kv_.get(), nullptr};
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(kPageTokens, model_->shape().vocabulary);
    TRY(model_->forward({tokens_, positions, {&segment, 1}, outputs}, ops_, scratch_, logits));
    last_row_.resize(size_t(model_->shape().vocabulary));
    for (int32_t i = 0; i < kPageTokens; ++i) {
      ops_.store(logits.slice(i, 1), last_row_);
      if (i + 1 < kPageTokens) add(last_row_, tokens_[size_t(i) + 1], tenth);
    }
    last_ = kv_->tokens();
    scratch_.release(mark);
    return kv_->fit();
  }
  static void add(std::span<const float> logits, Token token, Tenth& tenth) {
    double sum = 0;
    const float top = *std::max_element(logits.begin(), logits.end());
    for (float logit : logits) sum += std::exp(double(logit) - top);
    tenth.nats += std::log(sum) + top - double(logits[size_t(token)]);
  }

  std::shared_ptr<const Model> model_;
  Ops ops_;
  Text text_;
  Scratch scratch_;
  std::unique_ptr<KvCache> kv_;
  std::vector<Token> tokens_;
  std::vector<float> last_row_;
  int32_t last_ = -1;
};

Result<std::vector<Measure>> run(const Settings& set, const std::string& file) {
  Ledger ledger(int64_t(2) << 30);
  ThreadPool pool(set.threads > 0 ? set.threads : int(std::max(1u, std::thread::hardware_concurrency())));
  const auto model = TRY(open_model(posix_env(), file, ledger));
  const auto stream = TRY(Stream::make(model, set, ledger, pool));
  std::vector<Tenth> tenths;
  const auto speed = [](const Tenth& of) { return double(of.tokens) / of.seconds; };
  const auto perplexity = [](const Tenth& of) { return std::exp(of.nats / double(of.tokens)); };
  const auto thousand = [](const Tenth& of) { return 1000 * of.cpu_seconds / double(of.tokens); };
  for (int i = 0; i < kTenths; ++i) {
    const Tenth& one = tenths.emplace_back(TRY(stream->read(set.tokens / kTenths)));
    if (set.progress == 0) continue;
    std::fprintf(stderr, "tenth %d\t%.0f tokens/s\t%.3f s of CPU a 1000\t%.2f MB\tperplexity %.3f\n", i + 1,
                 speed(one), thousand(one), double(one.resident_bytes) / 1e6, perplexity(one));
  }
  const Tenth &first = tenths.front(), &last = tenths.back();
  std::vector<Measure> all{
      {"the last tenth of " + std::to_string(set.tokens) + " tokens", speed(last), "tokens/s", "the first",
       speed(first)},
      {"1,000 tokens of the last tenth, of the processor", thousand(last), "s", "of the first",
       thousand(first)},
      {"resident after the last tenth", double(last.resident_bytes) / 1e6, "MB", "after the first",
       double(first.resident_bytes) / 1e6},
      {"KV booked after the last tenth", double(last.kv_bytes) / 1e6, "MB", "after the first",
       double(first.kv_bytes) / 1e6},
      {"perplexity of the last tenth", perplexity(last), "", "of the first", perplexity(first)}};
  // The work of a token: what it reads of each lane, which is all that is kept where nothing selects.
  const auto lanes = double(model->shape().kv.layers * model->shape().kv.kv_heads);
  const auto entries = [&](const Tenth& of) {
    return of.read > 0 ? double(of.read) * kPageTokens / double(of.tokens) / lanes : double(of.kept) / lanes;
  };
  all.push_back(
      {"entries of a lane read at the end", entries(last), "", "after the first tenth", entries(first)});
  if (last.fetched > 0)
    all.push_back({"pages of a lane that came back, a page of tokens",
                   double(last.fetched) * kPageTokens / double(last.tokens) / lanes, "", "in the first tenth",
                   double(first.fetched) * kPageTokens / double(first.tokens) / lanes});
  return all;
}

}  // namespace

Result<std::vector<Measure>> kv_stream(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  if (!set.model.empty()) return run(set, set.model);
  const std::string file =
      std::filesystem::temp_directory_path().string() + "/varve-stream-" + std::to_string(getpid());
  TRY(write_random_llama(posix_env(), file, set.shape, "q8_0"));
  auto measures = run(set, file);
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  return measures;
}

}  // namespace varve::bench

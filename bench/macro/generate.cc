// generate: a model reads a prompt and writes tokens, without an engine around it. The figures beside it are
// what the machine would allow at the same time: writing a token reads every weight and the KV once, reading
// one takes two operations a weight and those of attention. With depth=N tokens lie before the prompt that
// nobody computed: only their number matters to the time. depth=N+M measures both.
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <thread>

#include "bench/bench.h"
#include "bench/macro/random_llama.h"
#include "bench/micro/machine.h"
#include "run/model/model.h"

namespace varve::bench {
namespace {

struct Settings {
  LlamaShape shape;
  std::string model;  // a file, instead of random ones
  std::string file;   // where random ones are written and left
  KvRecipe kv;
  int depth = 0;
  std::vector<int> depths{0};
  std::vector<std::string> weights{"q8_0", "q4_k"};
  bool exact = false;
  int prompt = 512, tokens = 64, rounds = 3, chunk = 512, batch = 1;
  int threads = std::max(1, int(std::thread::hardware_concurrency()));
};

Result<Settings> read_settings(Spec options) {
  Settings set;
  auto text = [&](const char* key, std::string& value) {
    auto found = options.options.extract(key);
    if (found) value = found.mapped();
  };
  std::string weights, precision = "fast", depths;
  text("model", set.model);
  text("file", set.file);
  std::string kv;  // words with + between them: pack=q8_0+select=box/pages=64
  text("kv", kv);
  std::replace(kv.begin(), kv.end(), '+', ' ');
  std::replace(kv.begin(), kv.end(), '/', ':');
  set.kv = TRY(parse_kv_recipe(kv));
  set.shape.context = 1 << 18;
  text("weights", weights);
  text("precision", precision);
  text("depth", depths);
  if (!depths.empty()) set.depths.clear();
  for (size_t at = 0; at < depths.size();) {
    const size_t end = std::min(depths.find('+', at), depths.size());
    int depth = -1;
    const auto read = std::from_chars(depths.data() + at, depths.data() + end, depth);
    if (read.ptr != depths.data() + end || depth < 0 || depth > 1 << 20)
      return Status(Code::invalid, "depth is numbers up to 1048576 with + between them");
    set.depths.push_back(depth);
    at = end + 1;
  }
  if (!weights.empty()) set.weights = {weights};
  if (precision != "fast" && precision != "exact") return Status(Code::invalid, "precision is fast or exact");
  set.exact = precision == "exact";
  TRY(OptionReader(options)
          .read("layers", set.shape.layers, 1, 1000)
          .read("width", set.shape.width, 1, 65536)
          .read("hidden", set.shape.hidden, 1, 262144)
          .read("heads", set.shape.heads, 1, 1024)
          .read("kv_heads", set.shape.kv_heads, 1, 1024)
          .read("vocabulary", set.shape.vocabulary, 1, 1 << 20)
          .read("prompt", set.prompt, 1, 1 << 20)
          .read("tokens", set.tokens, 1, 1 << 20)
          .read("rounds", set.rounds, 1, 1000)
          .read("chunk", set.chunk, 1, 65536)
          .read("batch", set.batch, 1, 1024)
          .read("threads", set.threads, 1, 1024)
          .done());
  return set;
}

// `batch` sequences that advance together, each with a KV of its own.
class Runner {
 public:
  static Result<std::unique_ptr<Runner>> make(std::shared_ptr<const Model> model, const Settings& set,
                                              Ledger& ledger, ThreadPool& pool) {
    std::unique_ptr<Runner> runner(new Runner(std::move(model), set, pool));
    const int32_t rows = std::max(set.chunk, set.batch), vocabulary = runner->model_->shape().vocabulary;
    runner->scratch_ = TRY(Scratch::make(
        ledger, runner->model_->scratch_bytes(rows, set.batch) + Scratch::bytes_for(set.batch, vocabulary) +
                    2 * Scratch::bytes_for(kPageTokens, runner->model_->shape().width)));
    auto kv = TRY(make_kv_pool(ledger, runner->model_->shape().kv, set.kv));
    for (int i = 0; i < set.batch; ++i) {
      runner->kv_.push_back(TRY(make_kv_cache(kv)));
      TRY(runner->kv_.back()->reserve(set.depth + set.prompt + set.tokens));
    }
    return runner;
  }

  Status restart() {
    for (auto& kv : kv_) {
      if (kv->tokens() > set_.depth || set_.depth == 0) TRY(kv->truncate(set_.depth));
      TRY(kv->reserve(set_.depth + set_.prompt + set_.tokens - kv->tokens()));
      TRY(deepen(*kv));
    }
    return {};
  }
  Status read_prompt() {
    ops_.reading(true);
    for (auto& kv : kv_) {
      for (int done = 0; done < set_.prompt; done += set_.chunk) {
        TRY(step({&kv, 1}, std::min(set_.chunk, set_.prompt - done)));
      }
    }
    return {};
  }
  // What the KV holds once prompt and tokens are there, of all that advance together.
  int64_t kv_bytes() const {
    int64_t bytes = 0;
    for (const auto& kv : kv_) bytes += kv->bytes();
    return bytes;
  }
  Status write_token() {
    ops_.reading(false);
    return step(kv_, 1);
  }

 private:
  Runner(std::shared_ptr<const Model> model, const Settings& set, ThreadPool& pool)
      : model_(std::move(model)),
        set_(set),
        ops_(pool, set.exact ? Ops::Precision::exact : Ops::Precision::fast) {}

  // Numbers in place of what a long prompt would have left.
  Status deepen(KvCache& kv) {
    const KvShape& shape = model_->shape().kv;
    const int64_t mark = scratch_.mark();
    while (kv.tokens() < set_.depth) {
      const int32_t first = kv.tokens(), rows = std::min(kPageTokens, set_.depth - first);
      Rows keys = scratch_.take(rows, shape.kv_heads * shape.key_dim);
      Rows values = scratch_.take(rows, shape.kv_heads * shape.value_dim);
      ops_.fill(keys, 0.05f), ops_.fill(values, 0.05f);
      std::vector<int32_t> positions;
      for (int32_t i = 0; i < rows; ++i) positions.push_back(first + i);
      for (int32_t layer = 0; layer < shape.layers; ++layer)
        TRY(kv.append(ops_, layer, keys, values, positions));
      scratch_.release(mark);
    }
    return {};
  }

  Status step(std::span<std::unique_ptr<KvCache>> sequences, int32_t rows) {
    std::vector<Token> tokens;
    std::vector<int32_t> positions, outputs;
    std::vector<Segment> segments;
    for (auto& kv : sequences) {
      segments.push_back({int32_t(tokens.size()), rows, kv.get(), nullptr});
      for (int32_t i = 0; i < rows; ++i) {
        positions.push_back(kv->tokens() + i);
        tokens.push_back((positions.back() * 7 + 1) % model_->shape().vocabulary);
      }
      outputs.push_back(int32_t(tokens.size()) - 1);
    }
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(int32_t(outputs.size()), model_->shape().vocabulary);
    TRY(model_->forward({tokens, positions, segments, outputs}, ops_, scratch_, logits));
    scratch_.release(mark);
    return {};
  }

  std::shared_ptr<const Model> model_;
  const Settings& set_;
  Ops ops_;
  Scratch scratch_;
  std::vector<std::unique_ptr<KvCache>> kv_;
};

// What one token reads: everything but the table of embeddings, unless that is the output too.
int64_t bytes_a_token(const WeightStore& weights) {
  int64_t bytes = 0;
  const bool tied = weights.find("output") == kNoWeight;
  for (const WeightEntry& entry : weights.entries()) {
    if (entry.role != "token_embd" || tied) bytes += entry.bytes;
  }
  return bytes;
}

// Something as large as the weights to read, so that both meet the same caches.
Result<Buffer> probe(Ledger& ledger, int64_t bytes) {
  Buffer buffer = TRY(Buffer::make(ledger, Tag::scratch, std::max<int64_t>(bytes, 64 << 20)));
  std::fill(buffer.bytes().begin(), buffer.bytes().end(), std::byte{1});
  return buffer;
}

// Of a token that is read behind `before` others: two for each weight of a layer and for each value that
// attention looks at.
double operations_a_token(const Model& model, double before) {
  double values = 0;
  for (const WeightEntry& entry : model.weights().entries()) {
    if (entry.role != "token_embd" && entry.role != "output" && entry.rows > 1)
      values += double(entry.rows) * entry.cols * entry.stack;
  }
  const ModelShape& shape = model.shape();
  values += before * shape.layers * shape.heads * (shape.kv.key_dim + shape.kv.value_dim);
  return 2 * values;
}

double operations_rate(ThreadPool& pool, bool exact) {
  return !exact && std::string_view(kernels().isa) == "amx" ? tile_rate(pool) : product_rate(pool);
}

Status measure_at(const Settings& set, const std::shared_ptr<const Model>& model, const std::string& name,
                  ThreadPool& pool, Ledger& ledger, std::vector<Measure>& out) {
  const int64_t bytes = bytes_a_token(model->weights());
  auto runner = TRY(Runner::make(model, set, ledger, pool));
  const int64_t peak = ledger.peak();
  const Buffer to_read = TRY(probe(ledger, bytes));
  std::vector<double> prefill, decode, memory, operations;
  for (int round = 0; round < set.rounds; ++round) {
    TRY(runner->restart());
    Status status;
    memory.push_back(read_rate(pool, to_read.bytes()));
    operations.push_back(operations_rate(pool, set.exact));
    prefill.push_back(set.batch * set.prompt / seconds([&] { status = runner->read_prompt(); }));
    TRY(std::move(status));
    decode.push_back(set.tokens / seconds([&] {
                       for (int i = 0; i < set.tokens && status.ok(); ++i) status = runner->write_token();
                     }));
    TRY(std::move(status));
    memory.push_back(read_rate(pool, to_read.bytes()));
  }
  const double rate = median(memory), a_token = operations_a_token(*model, set.depth + set.prompt / 2.0);
  out.push_back({.name = name + " prompt",
                 .value = median(prefill),
                 .unit = "tokens/s",
                 .baseline_name = "all operations at their peak",
                 .baseline = median(operations) * 1e9 / a_token});
  out.push_back({.name = name + " write",
                 .value = median(decode) * set.batch,
                 .unit = "tokens/s",
                 .baseline_name = "all bytes at the memory's rate",
                 .baseline = rate * 1e9 * set.batch / double(bytes + runner->kv_bytes())});
  out.push_back({.name = name + " weights read",
                 .value = median(decode) * double(bytes) / 1e9,
                 .unit = "GB/s",
                 .baseline_name = "memory read",
                 .baseline = rate});
  out.push_back({.name = name + " operations",
                 .value = median(prefill) * a_token / 1e9,
                 .unit = "Gop/s",
                 .baseline_name = "peak",
                 .baseline = median(operations)});
  out.push_back({.name = name + " booked at most", .value = double(peak) / (1 << 20), .unit = "MiB"});
  return {};
}

Status measure(Settings set, const std::string& path, const std::string& name, std::vector<Measure>& out) {
  ThreadPool pool(set.threads);
  Ledger ledger(int64_t(1) << 40);
  Result<std::shared_ptr<const Model>> opened = Status(Code::internal, "not opened yet");
  const double open_seconds = seconds([&] { opened = open_model(posix_env(), path, ledger); });
  const auto model = TRY(std::move(opened));
  out.push_back({.name = name + " open", .value = open_seconds, .unit = "s"});
  for (int depth : set.depths) {
    set.depth = depth;
    const std::string where = set.depths.size() > 1 ? name + " at " + std::to_string(depth) : name;
    TRY(measure_at(set, model, where, pool, ledger, out));
  }
  return {};
}

}  // namespace

Result<std::vector<Measure>> generate(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  std::vector<Measure> all;
  if (!set.model.empty()) {
    if (!TRY(posix_env().exists(set.model))) return Status(Code::not_found, "no model at " + set.model);
    TRY(measure(set, set.model, std::filesystem::path(set.model).filename(), all));
    return all;
  }
  for (const std::string& codec : set.weights) {
    const bool leave = !set.file.empty();
    const std::string path = leave ? set.file
                                   : (std::filesystem::temp_directory_path() /
                                      ("varve-generate-" + std::to_string(getpid()) + ".gguf"))
                                         .string();
    Status status = write_random_llama(posix_env(), path, set.shape, codec);
    if (status.ok()) status = measure(set, path, codec, all);
    if (!leave) posix_env().remove(path).ignore("the figures matter more than the file");
    TRY(std::move(status));
  }
  return all;
}

}  // namespace varve::bench

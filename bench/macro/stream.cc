// stream: a model larger than its budget, from the floor to all of it: tokens a second beside what the disk
// gives for the bytes that cannot stay, peak RSS beside the budget, and whether the words are those of the
// whole model; then the same file through a memory map within the same limits.
//
// With idle=.93, say, it is a ReLU model of which that share of the neurons is idle, and streams with and
// without its file of neurons, and by those that a chooser foresees; the tokens are then random ones, so that
// no text repeats itself.
//
// Options: model=FILE (default: a random one in bf16), codec=bf16, layers=, tokens=8, at=MIB (one budget),
// idle=0, neurons=SPEC of a chooser, sketch=q4_0.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <thread>

#include "bench/bench.h"
#include "bench/macro/cell.h"
#include "bench/macro/random_llama.h"
#include "core/base/process.h"
#include "run/model/choose/chooser.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"

namespace varve::bench {
namespace {

constexpr int64_t kMiB = 1 << 20, kSlack = 24 * kMiB,
                  kProbeBytes = 16 * kMiB;  // as a home leaves for what is small
constexpr int kPrompt = 4, kContext = 256;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Settings {
  std::string model, codec = "bf16", neurons, sketch = "q4_0";
  int tokens = 8, at = 0;
  LlamaShape shape{.context = kContext};
};

Result<Settings> read_settings(const Spec& given) {
  Settings set;
  Spec options = given;
  const std::pair<const char*, std::string*> texts[] = {
      {"model", &set.model}, {"codec", &set.codec}, {"neurons", &set.neurons}, {"sketch", &set.sketch}};
  for (const auto& [name, to] : texts)
    if (auto found = options.options.extract(name)) *to = found.mapped();
  TRY(OptionReader(options)
          .read("layers", set.shape.layers, 1, 1000)
          .read("tokens", set.tokens, 2, 1000)
          .read("at", set.at, 0, 1 << 20)
          .read("idle", set.shape.idle, 0.0, .999)
          .done());
  return set;
}

// What one run says, as a line of numbers from its process.
struct Run {
  bool ok = false;
  double tokens_per_s = 0, predicted = 0, disk = 0, products = 0, waited = 0, first = 0;
  int64_t peak = 0, stays = 0, streamed = 0, read = 0;
  double fired = 0, there = 0;  // shares of neurons, and of those that fired
  int64_t neurons_read = 0;     // bytes a token
  uint64_t words = 0;
  std::vector<Token> likeliest;  // of each step

  std::string text() const {
    std::ostringstream out;
    out << ok << ' ' << tokens_per_s << ' ' << predicted << ' ' << disk << ' ' << products << ' ' << waited
        << ' ' << first << ' ' << peak << ' ' << stays << ' ' << streamed << ' ' << read << ' ' << fired
        << ' ' << there << ' ' << neurons_read << ' ' << words;
    for (const Token one : likeliest) out << ' ' << one;
    return out.str();
  }
  static Run parse(const std::string& text) {
    Run run;
    std::istringstream in(text);
    in >> run.ok >> run.tokens_per_s >> run.predicted >> run.disk >> run.products >> run.waited >>
        run.first >> run.peak >> run.stays >> run.streamed >> run.read >> run.fired >> run.there >>
        run.neurons_read >> run.words;
    for (Token one; in >> one;) run.likeliest.push_back(one);
    return run;
  }
};

// Writes tokens after each other, the likeliest each time.
class Writer {
 public:
  // drawn: the tokens are random ones, not those that it finds likeliest. neurons: a chooser; empty: none.
  static Result<std::unique_ptr<Writer>> make(std::shared_ptr<const Model> model, bool drawn,
                                              const std::string& neurons, Ledger& ledger) {
    std::unique_ptr<Writer> writer(new Writer(std::move(model)));
    writer->drawn_ = drawn;
    const ModelShape& shape = writer->model_->shape();
    if (!neurons.empty()) {
      const auto chooser = TRY(neuron_choosers().make(neurons));
      writer->choice_ = TRY(chooser->begin({shape.layers, shape.neurons}, ledger));
    }
    const int32_t vocabulary = shape.vocabulary;
    writer->scratch_ = TRY(
        Scratch::make(ledger, writer->model_->scratch_bytes(kPrompt, 1) + Scratch::bytes_for(1, vocabulary)));
    writer->kv_ = TRY(make_kv_cache(TRY(make_kv_pool(ledger, writer->model_->shape().kv, {}))));
    TRY(writer->kv_->reserve(kContext));
    writer->row_.resize(size_t(vocabulary));
    return writer;
  }
  Status step() {
    std::vector<int32_t> positions;
    for (size_t i = 0; i < next_.size(); ++i) positions.push_back(kv_->tokens() + int32_t(i));
    const Segment segment{0, int32_t(next_.size()), kv_.get(), nullptr, choice_.get()};
    const int32_t last = int32_t(next_.size()) - 1;
    ops_.reading(kv_->tokens() == 0);
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(1, int32_t(row_.size()));
    TRY(model_->forward({next_, positions, {&segment, 1}, {&last, 1}}, ops_, scratch_, logits));
    ops_.store(logits, row_);
    scratch_.release(mark);
    for (const float value : row_) words_ = words_ * 1099511628211u + std::hash<float>()(value);
    likeliest_.push_back(Token(std::max_element(row_.begin(), row_.end()) - row_.begin()));
    next_ = {drawn_ ? Token(uint32_t(kv_->tokens()) * 2654435769u % row_.size()) : likeliest_.back()};
    return {};
  }
  uint64_t words() const { return words_; }
  const std::vector<Token>& likeliest() const { return likeliest_; }

 private:
  explicit Writer(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  const std::shared_ptr<const Model> model_;
  ThreadPool pool_{int(std::max(1u, std::thread::hardware_concurrency()))};
  Ops ops_{pool_, Ops::Precision::fast};
  Scratch scratch_;
  std::unique_ptr<KvCache> kv_;
  std::unique_ptr<NeuronChoice> choice_;
  std::vector<float> row_;
  std::vector<Token> likeliest_;
  std::vector<Token> next_ = std::vector<Token>(kPrompt, 1);
  uint64_t words_ = 0;
  bool drawn_ = false;
};

Result<std::unique_ptr<File>> open_past_cache(const std::string& path) {
  auto file = posix_env().open(path, Open::direct);
  return file.ok() ? std::move(file) : posix_env().open(path, Open::read);
}

// Rounds of a few tokens, and between them the disk alone: its rate changes from second to second.
Status stream_tokens(Writer& writer, Streaming& streaming, const std::string& path, std::span<std::byte> room,
                     int tokens, Run& run) {
  const std::unique_ptr<File> disk = TRY(open_past_cache(path));
  const StreamPlan plan = streaming.plan();
  std::vector<double> rates;
  double seconds = 0;
  const StreamCounts before = streaming.counts();
  for (int done = 0; done < tokens; done += 2) {
    rates.push_back(TRY(measure_reads(*disk, plan.disk, room, 0.25)));
    const auto start = Clock::now();
    for (int i = 0; i < 2; ++i) TRY(writer.step());
    seconds += since(start);
  }
  const StreamCounts after = streaming.counts();
  for (const double rate : rates) run.disk += rate / double(rates.size());
  run.tokens_per_s = double(rates.size()) * 2 / seconds;
  run.read = int64_t(double(after.read_bytes - before.read_bytes) / seconds);
  run.waited = (after.waited_seconds - before.waited_seconds) / seconds;
  run.predicted = plan.tokens_per_second(), run.products = plan.product_rate;
  run.stays = plan.resident_bytes, run.streamed = plan.streamed_bytes();
  if (after.fired == before.fired) return {};
  const double fired = double(after.fired - before.fired);
  run.fired = fired / double(after.neurons - before.neurons);
  run.there = double(after.fired_there - before.fired_there) / fired;
  run.neurons_read = (after.neuron_read_bytes - before.neuron_read_bytes) / int64_t(2 * rates.size());
  return {};
}

// neurons: a chooser; empty: those that fire.
Status generate(const Settings& set, const std::string& path, int64_t budget, const std::string& neurons,
                Run& run) {
  const int tokens = set.tokens;
  const int64_t floor = resident_bytes() + kSlack;
  Ledger ledger(budget > 0 ? budget - floor : int64_t(1) << 40, floor);
  const auto start = Clock::now();
  const auto model = budget > 0 ? TRY(open_planned_model(posix_env(), path, ledger, TRY(neuron_use(neurons))))
                                : TRY(open_model(posix_env(), path, ledger));
  const auto writer = TRY(Writer::make(model, set.shape.idle > 0, neurons, ledger));
  Streaming* streaming = model->weights().streaming();
  const DiskRate disk = streaming != nullptr ? streaming->plan().disk : DiskRate();
  Buffer room = TRY(Buffer::make(ledger, Tag::io, disk.read_bytes * disk.readers));
  if (streaming != nullptr)
    streaming->keep(std::max<int64_t>(0, ledger.limit() - ledger.used() - ledger.limit() / 64));
  TRY(writer->step());
  run.first = since(start);
  if (streaming != nullptr) {
    TRY(writer->step());
    TRY(stream_tokens(*writer, *streaming, path, room.bytes(), tokens, run));
  } else {
    TRY(writer->step());
    const auto begin = Clock::now();
    for (int i = 0; i < tokens + tokens % 2; ++i) TRY(writer->step());
    run.tokens_per_s = (tokens + tokens % 2) / since(begin);
    Buffer some = TRY(Buffer::make(ledger, Tag::io, 48 * kMiB));
    const std::unique_ptr<File> file = TRY(open_past_cache(path));
    const DiskRate rate = TRY(measure_disk(*file, some.bytes()));
    run.disk = TRY(measure_reads(*file, rate, some.bytes(), 1));
  }
  run.words = writer->words(), run.likeliest = writer->likeliest(), run.peak = peak_resident_bytes(),
  run.ok = true;
  return {};
}

// Goes through the file as often as tokens would, by two threads, as whoever maps it and multiplies would.
Status read_mapped(const std::string& path, int tokens, Run& run) {
  const auto mapping = TRY(posix_env().map(path));
  const auto bytes = mapping->bytes();
  const auto start = Clock::now();
  for (int token = 0; token < tokens; ++token) {
    constexpr size_t kStride = 4 * kMiB;
    for (size_t at = 0; at < bytes.size(); at += 2 * kStride) {
      const auto touch = [&](size_t from) {
        uint64_t sum = 0;
        for (size_t i = from; i < std::min(bytes.size(), from + kStride); i += 64) sum += uint64_t(bytes[i]);
        return sum;
      };
      uint64_t other = 0;
      std::thread second([&] { other = touch(at + kStride); });
      run.words += touch(at);
      second.join();
      run.words += other;
    }
  }
  run.tokens_per_s = tokens / since(start);
  run.ok = true;
  return {};
}

// What is cached belongs to nobody's limit: out with it.
void forget_cached(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  fdatasync(file);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
}

Result<Run> run_in_cell(int64_t limit, bool& enforced, const std::function<Status(Run&)>& work) {
  const std::string text = TRY(in_cell(limit, enforced, [&] {
    Run run;
    const Status status = work(run);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.text().c_str());
    return run.text();
  }));
  return Run::parse(text);
}

Status at_budget(const Settings& set, const std::string& path, int64_t budget, const Run& whole,
                 std::vector<Measure>& out) {
  const double file = double(std::filesystem::file_size(path));
  bool enforced = false;
  forget_cached(path);
  const Run run =
      TRY(run_in_cell(budget, enforced, [&](Run& one) { return generate(set, path, budget, "", one); }));
  const std::string at = std::to_string(budget / kMiB) + " MiB: ";
  if (!run.ok) {
    out.push_back({at + "below the floor", 0, "tokens/s", "", 0});
    return {};
  }
  const double cannot = std::max(file - double(budget), 1.0);
  const double limit = std::min(run.disk / cannot, whole.tokens_per_s);
  const double alone = std::max(double(run.streamed) / run.disk, 1 / whole.tokens_per_s);
  out.push_back({at + "streaming" + (enforced ? ", in a cgroup" : ""), run.tokens_per_s, "tokens/s",
                 "disk over bytes that cannot stay", limit});
  out.push_back({at + "the same", run.tokens_per_s, "tokens/s", "predicted by the plan", run.predicted});
  out.push_back(
      {at + "time of a token", 1e3 / run.tokens_per_s, "ms", "reading or computing alone", 1e3 * alone});
  out.push_back(
      {at + "read while streaming", double(run.read) / 1e9, "GB/s", "the disk alone", run.disk / 1e9});
  out.push_back({at + "waiting for the disk", run.waited, "of the time", "", 0});
  out.push_back({at + "peak RSS", double(run.peak) / kMiB, "MiB", "budget", double(budget) / kMiB});
  out.push_back({at + "words as by the whole model", run.words == whole.words ? 1.0 : 0.0, "of", "1", 1});
  forget_cached(path);
  const Run mapped = TRY(run_in_cell(
      budget, enforced, [&](Run& one) { return read_mapped(path, std::max(2, set.tokens / 4), one); }));
  if (enforced && mapped.ok)
    out.push_back({at + "streaming", run.tokens_per_s, "tokens/s", "through a map, reading alone",
                   mapped.tokens_per_s});
  return {};
}

// As by_neuron(), with a chooser in place of the gate: what it leaves out is lost.
Status by_choice(const Settings& set, int64_t budget, const Run& whole, const Run& all,
                 const std::function<Result<Run>(const std::string&)>& measure, std::vector<Measure>& out) {
  const std::string by = std::to_string(budget / kMiB) + " MiB: by " + set.neurons;
  const Run some = TRY(measure(set.neurons));
  if (!some.ok) return Status(Code::internal, "the model does not run");
  size_t same = 0;
  for (size_t i = 0; i < std::min(some.likeliest.size(), whole.likeliest.size()); ++i)
    same += some.likeliest[i] == whole.likeliest[i];
  out.push_back({by, some.tokens_per_s, "tokens/s", "whole weights streamed", all.tokens_per_s});
  out.push_back(
      {by + ": same likeliest token", 100 * double(same) / double(whole.likeliest.size()), "%", "", 0});
  out.push_back({by + ": neurons computed", 100 * some.fired, "%", "", 0});
  out.push_back({by + ": of them in memory", 100 * some.there, "%", "", 0});
  out.push_back({by + ": neurons read for a token", double(some.neurons_read) / 1e6, "MB", "", 0});
  out.push_back({by + ": weights read for a token besides", double(some.streamed) / 1e6, "MB",
                 "whole weights streamed", double(all.streamed) / 1e6});
  out.push_back({by + ": peak RSS", double(some.peak) / kMiB, "MiB", "budget", double(budget) / kMiB});
  return {};
}

// A ReLU model by neuron, then the same without its file of neurons.
Status by_neuron(const Settings& set, const std::string& path, int64_t budget, const Run& whole,
                 std::vector<Measure>& out) {
  const std::string at = std::to_string(budget / kMiB) + " MiB: ";
  bool enforced = false;
  const std::string beside = neurons_path(path), aside = beside + ".aside";
  Ledger ledger(int64_t(512) << 20);
  if (!TRY(posix_env().exists(beside))) TRY(write_neurons(posix_env(), path, ledger));
  const auto measure = [&](const std::string& neurons) -> Result<Run> {
    forget_cached(path);
    forget_cached(beside);
    return run_in_cell(budget, enforced, [&](Run& one) { return generate(set, path, budget, neurons, one); });
  };
  const Run some = TRY(measure(""));
  TRY(posix_env().rename(beside, aside));
  const Run all = TRY(measure(""));
  TRY(posix_env().rename(aside, beside));
  if (!some.ok || !all.ok) return Status(Code::internal, "the model does not run");
  out.push_back({at + "by neuron" + (enforced ? ", in a cgroup" : ""), some.tokens_per_s, "tokens/s",
                 "whole weights streamed", all.tokens_per_s});
  out.push_back({at + "neurons that fired", 100 * some.fired, "%", "", 0});
  out.push_back({at + "of them in memory", 100 * some.there, "%", "", 0});
  out.push_back({at + "neurons read for a token", double(some.neurons_read) / 1e6, "MB", "", 0});
  out.push_back({at + "weights read for a token besides", double(some.streamed) / 1e6, "MB",
                 "whole weights streamed", double(all.streamed) / 1e6});
  out.push_back(
      {at + "waiting for the disk", some.waited, "of the time", "whole weights streamed", all.waited});
  out.push_back({at + "peak RSS", double(some.peak) / kMiB, "MiB", "budget", double(budget) / kMiB});
  out.push_back({at + "logits as by the whole model, both",
                 some.words == whole.words && all.words == whole.words ? 1.0 : 0.0, "of", "1", 1});
  if (set.neurons.empty()) return {};
  TRY(posix_env().remove(beside));
  TRY(write_neurons(posix_env(), path, ledger, {},
                    {.whole = true, .sketch = TRY(codec_named(set.sketch).with("sketch"))}));
  return by_choice(set, budget, whole, all, measure, out);
}

Result<std::vector<Measure>> curve(const Settings& set, const std::string& path) {
  bool enforced = false;
  forget_cached(path);
  const Run whole = TRY(run_in_cell(0, enforced, [&](Run& one) { return generate(set, path, 0, "", one); }));
  if (!whole.ok) return Status(Code::internal, "the whole model does not run");
  const auto file = int64_t(std::filesystem::file_size(path));
  std::vector<Measure> all{{"all weights in memory", whole.tokens_per_s, "tokens/s", "", 0},
                           {"bytes of the model", double(file) / 1e6, "MB", "", 0},
                           {"to the first token, nothing cached", double(file) / 1e9 / whole.first, "GB/s",
                            "the disk alone", whole.disk / 1e9}};
  if (set.shape.idle > 0) {
    TRY(by_neuron(set, path, (set.at > 0 ? set.at : 1010) * kMiB, whole, all));
    return all;
  }
  if (set.at > 0) {
    TRY(at_budget(set, path, set.at * kMiB, whole, all));
    return all;
  }
  TRY(at_budget(set, path, 100 * kMiB, whole, all));
  for (const double share : {.25, .5, .75, .9, 1.06})
    TRY(at_budget(set, path, int64_t(double(file) * share) / kMiB * kMiB, whole, all));
  return all;
}

}  // namespace

Result<std::vector<Measure>> stream(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  if (!set.model.empty()) return curve(set, set.model);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("varve-stream-" + std::to_string(getpid()) + ".gguf"))
          .string();
  Status written = write_random_llama(posix_env(), path, set.shape, set.codec);
  auto measures = written.ok() ? curve(set, path) : Result<std::vector<Measure>>(std::move(written));
  posix_env().remove(path).ignore("the figures matter more than the file");
  posix_env().remove(neurons_path(path)).ignore("there is none of most");
  return measures;
}

}  // namespace varve::bench

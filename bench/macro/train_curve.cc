// train_curve: a fresh 15M llama on a file of tokens, in order, at one rate without decay or clipping: losses
// by step and tokens/s. What another trainer is compared with (bench/peers), or one precision with another.
// start=FILE: what it begins with, for a trainer that begins alike.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "core/io/env.h"
#include "learn/tune/lesson.h"
#include "learn/tune/model_file.h"
#include "math/codec/codec.h"

namespace varve::bench {
namespace {

// The token files of llm.c: 256 words of head (magic, version, tokens), then 16 bits a token.
Result<std::vector<int32_t>> read_tokens(const std::string& path, int32_t vocabulary) {
  constexpr size_t kHead = 1024;
  constexpr uint32_t kMagic = 20240520;
  const auto map = TRY(posix_env().map(path));
  const auto bytes = map->bytes();
  uint32_t magic = 0;
  if (bytes.size() >= kHead) std::memcpy(&magic, bytes.data(), 4);
  if (magic != kMagic) return Status(Code::invalid, path + " is no file of tokens");
  std::vector<int32_t> tokens((bytes.size() - kHead) / 2);
  for (size_t i = 0; i < tokens.size(); ++i) {
    uint16_t token;
    std::memcpy(&token, bytes.data() + kHead + 2 * i, 2);
    if (token >= vocabulary) return Status(Code::invalid, path + " has tokens beyond the vocabulary");
    tokens[i] = token;
  }
  return tokens;
}

std::string taken(Spec& options, std::string_view key, std::string fallback) {
  const auto found = options.options.find(key);
  if (found == options.options.end()) return fallback;
  return std::move(options.options.extract(found).mapped());
}

class InOrder : public Batches {
 public:
  InOrder(std::span<const int32_t> tokens, int32_t length, int32_t sequences)
      : tokens_(tokens), length_(length), sequences_(sequences) {}
  int32_t rows() const override { return length_ * sequences_; }
  int64_t count() const override { return (int64_t(tokens_.size()) - 1) / rows(); }
  Status fill(int64_t step, int32_t, TextBatch& out) const override {
    out.clear();
    if (count() < 1) return Status(Code::invalid, "fewer tokens than a batch");
    const auto first = size_t(step % count() * rows());
    for (size_t i = 0; i < size_t(rows()); ++i) {
      if (int32_t(i) % length_ == 0) out.starts.push_back(int32_t(i));
      out.tokens.push_back(tokens_[first + i]);
      out.targets.push_back(tokens_[first + i + 1]);
      out.weights.push_back(1);
    }
    return {};
  }

 private:
  std::span<const int32_t> tokens_;
  int32_t length_, sequences_;
};

// Means of `window` steps each.
std::vector<Measure> windows(std::span<const double> losses, size_t window) {
  std::vector<Measure> all;
  for (size_t first = 0; first < losses.size(); first += window) {
    const size_t end = std::min(losses.size(), first + window);
    const double sum = std::accumulate(losses.begin() + long(first), losses.begin() + long(end), 0.0);
    all.push_back({.name = "mean loss of steps " + std::to_string(first + 1) + " to " + std::to_string(end),
                   .value = sum / double(end - first),
                   .unit = "nats"});
  }
  return all;
}

}  // namespace

Result<std::vector<Measure>> train_curve(const Spec& options) {
  FreshShape shape;
  int length = 512, sequences = 8, steps = 50, exact = 0, shown = 10,
      threads = std::max(1, int(std::thread::hardware_concurrency()));
  float rate = 1e-3f;
  Spec numbers = options;
  const std::string path = taken(numbers, "tokens", "tokens.bin");
  const std::string start = taken(numbers, "start", "");
  const std::string optimizer = taken(numbers, "optimizer", "adamw:beta2=0.999");
  TRY(OptionReader(numbers)
          .read("length", length, 2, 65536)
          .read("sequences", sequences, 1, 1024)
          .read("steps", steps, 1, 1 << 20)
          .read("shown", shown, 1, 1000)
          .read("rate", rate, 0.f, 1.f)
          .read("exact", exact, 0, 1)
          .read("threads", threads, 1, 1024)
          .done());
  if (!TRY(posix_env().exists(path)))
    return Status(Code::not_found, "no tokens at " + path + " (tokens=FILE)");
  const std::vector<int32_t> tokens = TRY(read_tokens(path, shape.vocabulary));
  Ledger ledger(int64_t(1) << 34);
  ThreadPool pool(threads);
  Parts parts;
  FullSource source(true, parts);
  const auto network = TRY(Network::make(TRY(fresh_spec(shape)), source));
  TRY(parts.allocate(ledger));
  draw_values(parts, shape.layers, 1);
  if (!start.empty()) {
    GgufWriter writer;
    TRY(write_model(shape, parts, *TRY(codec_named("f32")), writer, posix_env(), start, ledger));
  }
  const InOrder batches(tokens, length, sequences);
  const LessonPlan plan{.optimizer = optimizer,
                        .rate = rate,
                        .last_rate = 1,
                        .decay = 0,
                        .clip = 0,
                        .steps = steps,
                        .warmup = 0,
                        .precision = exact ? TrainOps::Precision::exact : TrainOps::Precision::bf16};
  const auto lesson = TRY(Lesson::make(*network, parts, plan, batches.rows(), pool, ledger));
  std::vector<double> losses, rates;
  for (int step = 0; step < steps; ++step) {
    Result<Progress> progress = Progress{};
    const double time = seconds([&] { progress = lesson->step(batches); });
    losses.push_back(TRY(std::move(progress)).loss);
    rates.push_back(double(batches.rows()) / time);
  }
  std::vector<Measure> all = windows(losses, size_t(std::max(1, steps / shown)));
  all.push_back({.name = "speed, median of the steps", .value = median(rates), .unit = "tokens/s"});
  return all;
}

}  // namespace varve::bench

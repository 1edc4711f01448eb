// train: steps of a 15M-parameter llama, batches of several documents, beside the products of the same step
// alone (each linear map forth and twice back, in the same shapes and the same run). Then the same steps
// while another thread takes all it can get.
#include <atomic>
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "learn/tune/lesson.h"
#include "learn/tune/model_file.h"

namespace varve::bench {
namespace {

class RandomTokens : public Batches {
 public:
  RandomTokens(int32_t length, int32_t sequences, int32_t vocabulary)
      : length_(length), sequences_(sequences), vocabulary_(vocabulary) {}
  int32_t rows() const override { return length_ * sequences_; }
  int64_t count() const override { return int64_t(1) << 40; }
  Status fill(int64_t step, int32_t, TextBatch& out) const override {
    out.clear();
    for (int32_t i = 0; i < rows(); ++i) {
      if (i % length_ == 0) out.starts.push_back(i);
      const RngKey key{1, uint64_t(step), Site::test};
      out.tokens.push_back(int32_t(random_bits(key, uint64_t(2 * i)) % uint32_t(vocabulary_)));
      out.targets.push_back(int32_t(random_bits(key, uint64_t(2 * i + 1)) % uint32_t(vocabulary_)));
      out.weights.push_back(1);
    }
    return {};
  }

 private:
  int32_t length_, sequences_, vocabulary_;
};

// Seconds of all products of one step and nothing else.
Result<double> products(const Parts& parts, int32_t rows, ThreadPool& pool, Ledger& ledger) {
  TrainOps train = TRY(TrainOps::make(pool, ledger, TrainOps::Precision::bf16));
  int64_t widest = 0;
  for (size_t i = 0; i < parts.size(); ++i) widest = std::max(widest, parts[i].size());
  Buffer gradient = TRY(Buffer::make(ledger, Tag::gradients, widest * 4));
  auto* floats = reinterpret_cast<float*>(gradient.bytes().data());
  double sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    if (part.rows == 1) continue;
    // The head goes through in pieces of rows, as in the network.
    const int32_t at_once = part.rows > 4096 ? 512 : rows;
    Scratch scratch = TRY(Scratch::make(
        ledger, Scratch::bytes_for(at_once, part.rows) + Scratch::bytes_for(at_once, part.cols)));
    const Rows x = scratch.take(at_once, part.cols), y = scratch.take(at_once, part.rows);
    train.ops().fill(x, 0.5f);
    train.ops().fill(y, 0.25f);
    for (int32_t done = 0; done < rows; done += at_once) {
      sum += seconds([&] {
        train.product(x, part.matrix(), y);
        train.product_back(y, part.matrix(), x);
        train.outer_add(y, x, {floats, size_t(part.size())});
      });
    }
  }
  return sum;
}

// Takes one core, or its share of one.
class Busy {
 public:
  Busy()
      : thread_([this] {
          while (!stop_.load(std::memory_order_relaxed)) continue;
        }) {}
  ~Busy() { stop_ = true, thread_.join(); }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

struct Rig {
  FreshShape shape;
  int length = 512, sequences = 8, rounds = 5,
      threads = std::max(1, int(std::thread::hardware_concurrency()));

  Result<double> rate(Lesson& lesson, const Batches& batches) const {
    Status status;
    const double time = seconds([&] { status = lesson.step(batches).status(); });
    TRY(std::move(status));
    return double(batches.rows()) / time;
  }
  Status measure(const LessonPlan& plan, bool beside, std::vector<Measure>& out) const {
    Ledger ledger(int64_t(1) << 34);
    ThreadPool pool(threads);
    Parts parts;
    FullSource source(true, parts);
    const auto network = TRY(Network::make(TRY(fresh_spec(shape)), source));
    TRY(parts.allocate(ledger));
    draw_values(parts, shape.layers, 1);
    const RandomTokens batches(length, sequences, shape.vocabulary);
    const auto lesson = TRY(Lesson::make(*network, parts, plan, batches.rows(), pool, ledger));
    TRY(lesson->step(batches));  // pages are touched for the first time
    std::vector<double> rates, bounds, shared;
    for (int round = 0; round < rounds; ++round) {
      bounds.push_back(double(batches.rows()) / TRY(products(parts, batches.rows(), pool, ledger)));
      rates.push_back(TRY(rate(*lesson, batches)));
      if (!beside) continue;
      const Busy busy;
      shared.push_back(TRY(rate(*lesson, batches)));
    }
    const std::string name = plan.optimizer + (plan.keep == KeepMode::hold ? " hold" : " recompute");
    out.push_back({.name = name,
                   .value = median(rates),
                   .unit = "tokens/s",
                   .baseline_name = "products of the step alone",
                   .baseline = median(bounds)});
    if (beside) {
      out.push_back({.name = name + ", beside a busy thread",
                     .value = median(shared),
                     .unit = "tokens/s",
                     .baseline_name = "without it",
                     .baseline = median(rates)});
    }
    return {};
  }
};

}  // namespace

Result<std::vector<Measure>> train(const Spec& options) {
  Rig rig;
  TRY(OptionReader(options)
          .read("length", rig.length, 2, 65536)
          .read("sequences", rig.sequences, 1, 1024)
          .read("rounds", rig.rounds, 1, 1000)
          .read("threads", rig.threads, 1, 1024)
          .read("layers", rig.shape.layers, 1, 100)
          .read("width", rig.shape.width, 8, 8192)
          .read("hidden", rig.shape.hidden, 8, 65536)
          .read("heads", rig.shape.heads, 1, 256)
          .read("kv_heads", rig.shape.kv_heads, 1, 256)
          .read("vocabulary", rig.shape.vocabulary, 8, 1 << 20)
          .done());
  std::vector<Measure> all;
  for (const char* optimizer : {"adamw", "adam8"}) {
    for (KeepMode keep : {KeepMode::hold, KeepMode::recompute}) {
      TRY(rig.measure({.optimizer = optimizer, .keep = keep}, all.empty(), all));
    }
  }
  return all;
}

}  // namespace varve::bench

// Recall over many memories: how fast turns are stored durably and indexed, what a memory costs, how long a
// question takes, words read and rights checked. The text is synthetic: a Zipf vocabulary that grows with the
// text, lengths as in conversation, sessions of 40 turns. A question has words of one turn and a few others.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <optional>
#include <thread>

#include "bench/bench.h"
#include "bench/texts.h"
#include "core/base/process.h"
#include "core/base/rng.h"
#include "memory/recall/recall.h"
#include "run/embed/static_embedder.h"

namespace varve::bench {
namespace {

using Time = std::chrono::steady_clock;
const Principal kWho{"bench"};

double seconds_since(Time::time_point start) {
  return std::chrono::duration<double>(Time::now() - start).count();
}

double thread_seconds() {  // work done, whatever else the machine does meanwhile
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

class Text {
 public:
  std::optional<Texts> real;  // sentences, for embeddings: words made up have no vectors

  std::string turn(int64_t number) const {
    if (real) return real->memory(number);
    const RngKey key{.seed = 1, .step = uint64_t(number)};
    const int words = length(key);
    std::string text;
    for (int i = 0; i < words; ++i) {
      // About every other word of English is a stop word.
      if (random_bits(key, 1000 + uint64_t(i)) % 2 == 0) text += "the ";
      text += word(rank(random_unit(key, 1 + uint64_t(i)))) + (i + 1 < words ? " " : ".");
    }
    return text;
  }
  // Three to eight words: most of a turn, the others by chance.
  std::string question(int64_t number, int64_t turns) const {
    const RngKey key{.seed = 2, .step = uint64_t(number)};
    if (real) return real->questions[random_bits(key, 0) % real->questions.size()];
    const RngKey of{.seed = 1, .step = random_bits(key, 0) % uint64_t(turns)};
    std::string text = "what about";
    const uint32_t words = 3 + random_bits(key, 1) % 6;
    for (uint64_t i = 0; i < words; ++i) {
      const bool own = i == 0 || random_bits(key, 10 + i) % 3 != 0;
      text += ' ' + word(rank(own ? random_unit(of, 1 + random_bits(key, 20 + i) % uint32_t(length(of)))
                                  : random_unit(key, 40 + i)));
    }
    return text + '?';
  }

 private:
  static int length(const RngKey& key) {  // median 13
    return int(std::clamp(std::exp(2.6 + 0.6 * random_normal(key, 0)), 3.0, 120.0));
  }
  // Mandelbrot's law: the r-th word with a chance like 1 / (r + 15)^1.35, of two million, by inversion.
  static int64_t rank(double u) {
    constexpr double s = 0.35, shift = 15, last = 2e6;
    const double low = std::pow(1 + shift, -s), high = std::pow(last + shift, -s);
    return int64_t(std::pow(low + u * (high - low), -1 / s) - shift);
  }
  static std::string word(int64_t rank) {
    std::string letters;
    for (uint64_t left = uint64_t(rank) * 2654435761u % 4294967291u + 1; left > 0; left /= 20) {
      letters += "bcdfghklmnprstvwzaeo"[left % 20];
    }
    return letters + 'u';  // no suffix that a stemmer knows
  }
};

MemoryOp op(const Text& text, int64_t number) {
  MemoryOp one;
  one.draft.header.kind = "turn";
  one.draft.header.session = "session-" + std::to_string(number / 40);
  one.draft.header.turn = int32_t(number % 40);
  one.draft.header.speaker = number % 2 ? "assistant" : "user";
  one.draft.payload = text.turn(number);
  return one;
}

Status store_turns(CubeStore& store, const Text& text, int64_t from, int64_t to, int64_t together,
                   double* longest = nullptr) {
  while (from < to) {
    std::vector<MemoryOp> ops;
    for (; from < to && int64_t(ops.size()) < together; ++from) ops.push_back(op(text, from));
    const auto start = Time::now();
    TRY(store.apply(kWho, std::move(ops)));
    if (longest != nullptr) *longest = std::max(*longest, seconds_since(start));
  }
  return {};
}

Result<double> append_and_sync(const std::string& path) {  // seconds, median
  const auto file = TRY(posix_env().open(path, Open::create));
  const std::vector<std::byte> bytes(512);
  std::vector<double> all;
  for (int i = 0; i < 50; ++i) {
    const auto start = Time::now();
    TRY(file->write(512 * i, bytes));
    TRY(file->sync());
    all.push_back(seconds_since(start));
  }
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

struct Setting {
  int64_t memories = 10000, queries = 1000, budget_mib = 1024, rebuild = 1;
  std::string recipe = "default", folder, embeddings, texts;  // embeddings: a static table, or none
};

class Run {
 public:
  explicit Run(const Setting& setting)
      : setting_(setting), resident_(resident_bytes()), ledger_(setting.budget_mib << 20) {}

  Result<std::vector<Measure>> measure() {
    sync_ = TRY(append_and_sync(setting_.folder + "/plain"));
    if (!setting_.embeddings.empty()) {
      embedder_ = TRY(open_static_embedder(posix_env(), setting_.embeddings, ledger_));
      text_.real = TRY(read_texts(setting_.texts, {"locomo", "hotpot", "dailydialog"}));
    }
    TRY(open());
    TRY(ingest());
    size();
    const auto settling = Time::now();
    TRY(recall_->settle());
    add("index saved", seconds_since(settling), "s");
    TRY(ask());
    const auto start = Time::now();
    recall_.reset();
    add("close, index kept", seconds_since(start), "s");
    TRY(open());
    add("open again: " + recall_->state().opened, opening_, "s");
    add("resident, grown by, opened from files", double(resident_bytes() - resident_) / (1 << 20), "MiB");
    if (setting_.rebuild == 0) return std::move(all_);
    const auto anew = Time::now();
    TRY(recall_->rebuild());
    add("rebuild from the store", seconds_since(anew), "s");
    return std::move(all_);
  }

 private:
  void add(std::string name, double value, std::string unit, std::string than = "", double baseline = 0) {
    all_.push_back({std::move(name), value, std::move(unit), std::move(than), baseline});
  }
  Status open() {
    if (!store_) store_ = TRY(CubeStore::open(posix_env(), setting_.folder + "/cubes", ledger_));
    const auto start = Time::now();
    const RecallGround ground{.env = &posix_env(), .folder = setting_.folder + "/index"};
    recall_ = TRY(Recall::make(setting_.recipe, *store_, embedder_.get(), ledger_, system_clock(), ground));
    opening_ = seconds_since(start);
    return {};
  }

  Status ingest() {
    const int64_t writers = 64, part = std::min<int64_t>(setting_.memories / 10, 6400);
    auto start = Time::now();
    std::vector<std::thread> threads;
    std::vector<Status> ends{size_t(writers)};
    for (int64_t i = 0; i < writers; ++i) {
      threads.emplace_back([&, i] {
        ends[size_t(i)] = store_turns(*store_, text_, part * i / writers, part * (i + 1) / writers, 1);
      });
    }
    for (std::thread& one : threads) one.join();
    for (Status& end : ends) TRY(std::move(end));
    add("64 writers, a turn at a time", double(part) / seconds_since(start), "turns/s",
        "append and sync a turn, one writer", 1 / sync_);
    start = Time::now();
    TRY(store_turns(*store_, text_, part, part * 2, 40));
    add("one writer, a session of 40 at a time", double(part) / seconds_since(start), "turns/s",
        "append and sync a turn, one writer", 1 / sync_);
    start = Time::now();
    double longest = 0;
    TRY(store_turns(*store_, text_, part * 2, setting_.memories, 1000, &longest));
    add("one writer, 1000 at a time", double(setting_.memories - part * 2) / seconds_since(start), "turns/s",
        "append and sync a turn, one writer", 1 / sync_);
    add("the longest of these", longest, "s");
    return {};
  }

  void size() {
    const double memories = double(setting_.memories);
    add("index, a memory", double(recall_->bytes()) / memories, "B");
    add("booked in the ledger", double(ledger_.used()) / (1 << 20), "MiB", "budget",
        double(setting_.budget_mib));
    add("resident, grown by", double(resident_bytes() - resident_) / (1 << 20), "MiB", "budget",
        double(setting_.budget_mib));
    const RecallState state = recall_->state();
    for (const auto& one : state.indexes) add("of them " + one.spec, double(one.bytes) / (1 << 20), "MiB");
    if (embedder_ == nullptr) return;
    add("vectors and what finds them, in RAM", double(state.vector_bytes) / (1 << 20), "MiB",
        "vectors in 32 bits", memories * double(embedder_->width()) * 4 / (1 << 20));
  }

  Status ask() {
    std::vector<double> wall, work;
    for (int64_t i = 0; i < setting_.queries; ++i) {
      const RecallQuery query{.text = text_.question(i, setting_.memories), .limit = 20};
      const auto start = Time::now();
      const double before = thread_seconds();
      const auto found = TRY(recall_->gather(kWho, query));
      wall.push_back(1000 * seconds_since(start));
      work.push_back(1000 * (thread_seconds() - before));
      if (found.empty()) return Status(Code::internal, "a question of a turn's words found nothing");
    }
    const double wanted = setting_.memories > 10000 ? 10 : 1;
    std::sort(wall.begin(), wall.end());
    std::sort(work.begin(), work.end());
    for (const double p : {0.5, 0.99}) {
      const auto at = size_t(p * double(wall.size() - 1));
      add(p < 0.9 ? "query p50" : "query p99", wall[at], "ms", "the limit asked for", wanted);
      add(p < 0.9 ? "query p50, processor time" : "query p99, processor time", work[at], "ms");
    }
    return {};
  }

  Setting setting_;
  Text text_;
  int64_t resident_;
  Ledger ledger_;
  double sync_ = 0, opening_ = 0;
  std::unique_ptr<Embedder> embedder_;
  std::unique_ptr<CubeStore> store_;
  std::unique_ptr<Recall> recall_;
  std::vector<Measure> all_;
};

}  // namespace

Result<std::vector<Measure>> recall_scale(const Spec& options) {
  Setting setting;
  Spec left = options;
  if (auto recipe = left.options.extract("recipe")) setting.recipe = recipe.mapped();
  if (auto table = left.options.extract("embeddings")) setting.embeddings = table.mapped();
  auto texts = left.options.extract("texts");
  setting.texts = texts ? texts.mapped() : "../shared/data";
  TRY(OptionReader(left)
          .read<int64_t>("memories", setting.memories, 1000, 10000000)
          .read<int64_t>("queries", setting.queries, 10, 100000)
          .read<int64_t>("budget_mib", setting.budget_mib, 16, 1 << 20)
          .read<int64_t>("rebuild", setting.rebuild, 0, 1)
          .done());
  setting.folder =
      (std::filesystem::temp_directory_path() / ("varve-bench-" + CubeId::make(0).text())).string();
  TRY(posix_env().make_folder(setting.folder));
  auto measured = Run(setting).measure();
  std::error_code failed;
  std::filesystem::remove_all(setting.folder, failed);
  return measured;
}

}  // namespace varve::bench

// attend: one query of each head over long contexts, as when a token is written, for each way to keep and to
// select KV; beside the rate at which memory is read in the same run. The shape is that of a 1B llama; what
// the keys and values are does not matter to the time.
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "run/kv/kv_pool.h"

namespace varve::bench {
namespace {

struct Settings {
  int contiguous = 0;  // 1: a copy of the KV, each lane in one stretch of memory
  int layers = 4, heads = 32, kv_heads = 8, dim = 64, rounds = 5;
  int threads = std::max(1, int(std::thread::hardware_concurrency()));
  std::vector<int> contexts{4096, 32768};
  std::vector<std::string> packs{"f16", "bf16", "q8_0", "kivi:bits=4", "kivi:bits=2"};
  std::string select = "all";
};

// Options hold no commas or colons, so that a spec is written with + and /: kivi/bits=2.
std::string spec_of(std::string text) {
  std::replace(text.begin(), text.end(), '/', ':');
  std::replace(text.begin(), text.end(), '+', ',');
  return text;
}

Result<Settings> read_settings(Spec options) {
  Settings set;
  if (auto found = options.options.extract("pack")) set.packs = {spec_of(found.mapped())};
  if (auto found = options.options.extract("select")) set.select = spec_of(found.mapped());
  int context = 0;
  TRY(OptionReader(options)
          .read("context", context, 0, 1 << 20)
          .read("contiguous", set.contiguous, 0, 1)
          .read("layers", set.layers, 1, 1000)
          .read("heads", set.heads, 1, 1024)
          .read("kv_heads", set.kv_heads, 1, 1024)
          .read("dim", set.dim, 1, 512)
          .read("rounds", set.rounds, 1, 1000)
          .read("threads", set.threads, 1, 1024)
          .done());
  if (context > 0) set.contexts = {context};
  return set;
}

class Run {
 public:
  Run(const Settings& set, ThreadPool& pool, Ledger& ledger) : set_(set), ops_(pool), ledger_(ledger) {}

  Status fill(const std::string& pack, int tokens) {
    const KvRecipe recipe = TRY(parse_kv_recipe("pack=" + pack + " select=" + set_.select));
    const KvShape shape{set_.layers, set_.kv_heads, set_.dim, set_.dim};
    scratch_ = TRY(Scratch::make(ledger_, 4 * Scratch::bytes_for(kRows, set_.heads * set_.dim)));
    kv_ = TRY(make_kv_cache(TRY(make_kv_pool(ledger_, shape, recipe))));
    TRY(kv_->reserve(tokens));
    const int32_t width = set_.kv_heads * set_.dim;
    const Rows keys = scratch_.take(kRows, width), values = scratch_.take(kRows, width);
    ops_.load(numbers(size_t(kRows * width), 1), keys);
    ops_.load(numbers(size_t(kRows * width), 2), values);
    std::vector<int32_t> positions(kRows);
    for (int32_t at = 0; at < tokens; at += kRows) {
      const int32_t rows = std::min(kRows, tokens - at);
      for (int32_t i = 0; i < rows; ++i) positions[size_t(i)] = at + i;
      for (int32_t layer = 0; layer < set_.layers; ++layer)
        TRY(kv_->append(ops_, layer, keys.slice(0, rows), values.slice(0, rows),
                        std::span(positions).first(size_t(rows))));
    }
    queries_ = scratch_.take(1, set_.heads * set_.dim), out_ = scratch_.take(1, set_.heads * set_.dim);
    ops_.load(numbers(size_t(set_.heads * set_.dim), 3), queries_);
    return set_.contiguous == 1 ? copy() : Status();
  }

  // Rows of a lane one after another: all its keys, then all its values.
  Status copy() {
    stretch_ = TRY(Buffer::make(ledger_, Tag::kv, bytes()));
    std::byte* to = stretch_.bytes().data();
    for (int32_t layer = 0; layer < set_.layers; ++layer) {
      for (const auto& lane : kv_->lanes(layer)) {
        auto& views = pages_.emplace_back(lane.begin(), lane.end());
        for (auto part : {&KvPageView::keys, &KvPageView::values}) {
          for (KvPageView& page : views) {
            std::copy((page.*part).begin(), (page.*part).end(), to);
            page.*part = {to, (page.*part).size()};
            to += (page.*part).size();
          }
        }
      }
    }
    for (const auto& views : pages_) copied_.emplace_back(views);
    return {};
  }

  Status token() {
    const AttendSpec how{.heads = set_.heads,
                         .kv_heads = set_.kv_heads,
                         .key_dim = set_.dim,
                         .value_dim = set_.dim,
                         .scale = 0.125f,
                         .codec = &kv_->codec()};
    const std::vector<int32_t> position{kv_->tokens()};
    for (int32_t layer = 0; layer < set_.layers; ++layer) {
      const size_t lane = size_t(layer) * size_t(set_.kv_heads);
      const KvLanes lanes = copied_.empty() ? TRY(kv_->reads(ops_, layer, queries_, how))
                                            : std::span(copied_).subspan(lane, size_t(set_.kv_heads));
      const AttendSegment segment{0, 1, position, lanes};
      ops_.attend(how, queries_, {&segment, 1}, out_);
    }
    return {};
  }

  int64_t bytes() const {  // that full attention reads
    int64_t bytes = 0;
    for (int32_t layer = 0; layer < set_.layers; ++layer) {
      for (const auto& lane : kv_->lanes(layer)) {
        for (const KvPageView& page : lane)
          bytes += int64_t(page.keys.size() + page.values.size() + page.positions.size_bytes());
      }
    }
    return bytes;
  }
  Ops& ops() { return ops_; }

 private:
  static constexpr int32_t kRows = 512;
  static std::vector<float> numbers(size_t n, uint32_t seed) {  // between -1 and 1
    std::vector<float> all(n);
    uint32_t state = seed;
    for (float& one : all) {
      state = state * 1664525 + 1013904223;
      one = float(int32_t(state)) * 0x1p-31f;
    }
    return all;
  }

  const Settings& set_;
  Ops ops_;
  Ledger& ledger_;
  Scratch scratch_;
  std::unique_ptr<KvCache> kv_;
  Rows queries_, out_;
  Buffer stretch_;
  std::vector<std::vector<KvPageView>> pages_;
  std::vector<std::span<const KvPageView>> copied_;
};

Status measure(const Settings& set, const std::string& pack, int tokens, std::vector<Measure>& out) {
  Ledger ledger(int64_t(1) << 40);
  ThreadPool pool(set.threads);
  Run run(set, pool, ledger);
  TRY(run.fill(pack, tokens));
  const int64_t bytes = run.bytes();
  Buffer probe = TRY(Buffer::make(ledger, Tag::scratch, std::max<int64_t>(bytes, 256 << 20)));
  std::fill(probe.bytes().begin(), probe.bytes().end(), std::byte{1});
  std::vector<double> taken, memory;
  TRY(run.token());
  for (int round = 0; round < set.rounds; ++round) {
    memory.push_back(read_rate(pool, probe.bytes()));
    Status status;
    taken.push_back(seconds([&] { status = run.token(); }));
    TRY(std::move(status));
  }
  const std::string name = pack + (set.contiguous == 1 ? " in one stretch" : "") +
                           (set.select == "all" ? "" : " " + set.select) + ", " + std::to_string(tokens) +
                           " tokens";
  const double best = *std::min_element(taken.begin(), taken.end());
  out.push_back({.name = name, .value = median(taken) * 1e3 / set.layers, .unit = "ms a layer"});
  out.push_back({.name = name + ", fastest", .value = best * 1e3 / set.layers, .unit = "ms a layer"});
  out.push_back({.name = name + ", of KV",
                 .value = double(bytes) / median(taken) / 1e9,
                 .unit = "GB/s",
                 .baseline_name = "memory read",
                 .baseline = median(memory)});
  out.push_back({.name = name + ", bytes",
                 .value = double(bytes) / tokens / set.layers,
                 .unit = "bytes a token and layer"});
  return {};
}

}  // namespace

Result<std::vector<Measure>> attend(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  std::vector<Measure> all;
  for (const int tokens : set.contexts) {
    for (const std::string& pack : set.packs) TRY(measure(set, pack, tokens, all));
  }
  return all;
}

}  // namespace varve::bench

// experts: a trained mixture reads a text, a token at a time, while only some of its experts fit into memory:
// how many were there when a row chose them, bytes read and tokens a second, by marking and by LRU, with and
// without reading ahead what the next layer's router is expected to choose. The logits are the same, or it
// fails.
//
// Options: model=FILE, text=FILE, tokens=512, warm=64 tokens that are not counted, threads=0.
#include <algorithm>
#include <chrono>
#include <thread>

#include "bench/bench.h"
#include "core/io/env.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"

namespace varve::bench {
namespace {

struct Settings {
  std::string model, text;
  int tokens = 512, warm = 64, threads = 0;
};

Result<Settings> read_settings(Spec options) {
  Settings set;
  if (auto model = options.options.extract("model")) set.model = model.mapped();
  if (auto text = options.options.extract("text")) set.text = text.mapped();
  TRY(OptionReader(options)
          .read("tokens", set.tokens, 1, 100000)
          .read("warm", set.warm, 1, 100000)
          .read("threads", set.threads, 0, 1024)
          .done());
  if (set.model.empty() || set.text.empty())
    return Status(Code::not_found, "name a mixture of experts and a text: model=FILE text=FILE");
  return set;
}

struct Run {
  StreamCounts before, after;
  double seconds = 0;
  uint64_t words = 0;  // of all logits

  double there() const {
    return 100 * double(after.routed_there - before.routed_there) /
           double(std::max<int64_t>(1, after.routed - before.routed));
  }
};

class Reader {
 public:
  static Result<std::unique_ptr<Reader>> open(const Settings& set) {
    std::unique_ptr<Reader> reader(new Reader(set));
    reader->model_ = TRY(open_planned_model(posix_env(), set.model, reader->ledger_));
    const Model& model = *reader->model_;
    if (model.tokenizer() == nullptr) return Status(Code::invalid, set.model + " has no tokenizer");
    if (reader->streaming().plan().routed_bytes == 0)
      return Status(Code::invalid, set.model + " has no experts");
    const auto bytes = TRY(read_file(posix_env(), set.text, int64_t(1) << 30));
    const size_t most = size_t(set.tokens + set.warm);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                                std::min(bytes.size(), 16 * most));
    model.tokenizer()->encode(text, false, reader->tokens_);
    if (reader->tokens_.size() < most)
      return Status(Code::invalid, set.text + " has fewer than " + std::to_string(most) + " tokens");
    reader->tokens_.resize(most);
    reader->scratch_ = TRY(Scratch::make(
        reader->ledger_, model.scratch_bytes(1, 1) + Scratch::bytes_for(1, model.shape().vocabulary)));
    return reader;
  }
  Streaming& streaming() { return *model_->weights().streaming(); }

  // From the beginning, as the context allows; what stays of before is forgotten first.
  Result<Run> read(int64_t keep, Leaving leaving, bool ahead) {
    streaming().keep(0);
    streaming().route_by(leaving, ahead);
    streaming().keep(keep);
    Run run;
    std::chrono::steady_clock::time_point begin;
    std::unique_ptr<KvCache> kv;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (i == size_t(set_.warm)) run.before = streaming().counts(), begin = std::chrono::steady_clock::now();
      if (kv == nullptr || kv->tokens() >= model_->shape().context) {
        kv = TRY(make_kv_cache(TRY(make_kv_pool(ledger_, model_->shape().kv, {}))));
        TRY(kv->reserve(model_->shape().context));
      }
      TRY(step(*kv, tokens_[i], run.words));
    }
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    run.after = streaming().counts();
    return run;
  }

 private:
  explicit Reader(const Settings& set)
      : set_(set),
        pool_(set.threads > 0 ? set.threads : int(std::max(1u, std::thread::hardware_concurrency()))) {}

  Status step(KvCache& kv, Token token, uint64_t& words) {
    const int32_t position = kv.tokens(), output = 0;
    const Segment segment{0, 1, &kv, nullptr};
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(1, model_->shape().vocabulary);
    TRY(model_->forward({{&token, 1}, {&position, 1}, {&segment, 1}, {&output, 1}}, ops_, scratch_, logits));
    std::vector<float> row(size_t(logits.width()));
    ops_.store(logits, row);
    for (const float value : row) words = words * 1099511628211u + std::hash<float>()(value);
    scratch_.release(mark);
    return {};
  }

  const Settings& set_;
  Ledger ledger_{int64_t(8) << 30};
  ThreadPool pool_;
  Ops ops_{pool_, Ops::Precision::fast};
  std::shared_ptr<const Model> model_;
  Scratch scratch_;
  std::vector<Token> tokens_;
};

struct Rule {
  const char* name;
  Leaving leaving;
  bool ahead;
};
constexpr Rule kRules[] = {{"LRU", Leaving::oldest, false},
                           {"marking", Leaving::unmarked, false},
                           {"LRU, the next layer's read ahead", Leaving::oldest, true},
                           {"marking, the next layer's read ahead", Leaving::unmarked, true}};

}  // namespace

Result<std::vector<Measure>> experts(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  auto reader = TRY(Reader::open(set));
  const StreamPlan plan = reader->streaming().plan();
  std::vector<Measure> out;
  uint64_t words = 0;
  for (const int share : {25, 50, 75, 100}) {
    Run lru;
    for (const Rule& rule : kRules) {
      const Run run =
          TRY(reader->read(plan.pass_bytes + plan.routed_bytes * share / 100, rule.leaving, rule.ahead));
      if (words == 0) words = run.words;
      if (run.words != words) return Status(Code::internal, "the logits depend on which experts stay");
      const bool first = &rule == kRules;
      if (first) lru = run;
      const auto row = [&](const char* what, double value, const char* unit, double by_lru) {
        out.push_back(
            {.name = "room for " + std::to_string(share) + " % of the experts, " + rule.name + ", " + what,
             .value = value,
             .unit = unit,
             .baseline_name = first ? "" : "LRU",
             .baseline = first ? 0 : by_lru});
      };
      const auto read = [&](const Run& of) {
        return double(of.after.read_bytes - of.before.read_bytes) / set.tokens / 1e6;
      };
      row("there", run.there(), "%", lru.there());
      row("read a token", read(run), "MB", read(lru));
      row("speed", set.tokens / run.seconds, "tokens/s", set.tokens / lru.seconds);
    }
  }
  return out;
}

}  // namespace varve::bench

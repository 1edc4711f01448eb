// How KV is stored and read, on a trained model: perplexity of a text's second half, token by token, under
// recipes of packs and selectors, beside f16 and all pages; and the error and the time of selecting over
// `stitched` tokens of real keys and values with real queries.
//
// A small model's context is shorter than what selection is for. Its KV of many windows of the text, each
// read from position 0, is laid side by side, the newest last; queries are those of the last window, which
// see all.
//
// Options: model=FILE text=FILE tokens=1024 stitched=0 queries=32 threads; recipes: see kRecipes.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "bench/bench.h"
#include "bench/micro/machine.h"
#include "run/kv/forwarded_kv.h"
#include "run/kv/kv_pool.h"
#include "run/kv/selection.h"
#include "run/model/model.h"

namespace varve::eval {
namespace {

constexpr const char* kRecipes[] = {"pack=bf16",
                                    "pack=q8_0",
                                    "pack=kivi:bits=4",
                                    "pack=kivi:bits=2",
                                    "pack=zip",
                                    "pack=think:keep=0.6",
                                    "pack=delta:keep=0.5",
                                    "select=box:pages=4",
                                    "select=centroid:pages=4",
                                    "select=landmark:pages=4",
                                    "select=episode:pages=4,near=0",
                                    "select=sentence:pages=4",
                                    "select=ann:pages=4",
                                    "select=window:window=5",
                                    "select=window:window=8"};
constexpr const char* kSelectors[] = {
    "window:window=128", "box:pages=64",       "box:pages=64,rows=4,estimate=16",
    "landmark:pages=64", "ann:pages=64",       "tree:pages=64",
    "centroid:pages=64", "centroid:pages=128", "centroid:pages=256"};

struct Options {
  std::string model, text;
  int tokens = 1024, stitched = 0, queries = 32;
  int threads = std::max(1, int(std::thread::hardware_concurrency()));
};

Result<Options> read(Spec given) {
  Options options;
  if (auto found = given.options.extract("model")) options.model = found.mapped();
  if (auto found = given.options.extract("text")) options.text = found.mapped();
  TRY(OptionReader(given)
          .read("tokens", options.tokens, 128, 1 << 20)
          .read("stitched", options.stitched, 0, 1 << 22)
          .read("queries", options.queries, 1, 4096)
          .read("threads", options.threads, 1, 1024)
          .done());
  if (options.model.empty() || options.text.empty())
    return Status(Code::not_found, "kv_read needs model=FILE and text=FILE");
  return options;
}

// What a query reads of other caches before its own; and the query, for whoever wants to see it.
struct Watch {
  virtual ~Watch() = default;
  virtual void query(Ops& ops, int32_t layer, Rows query, const AttendSpec& how, KvLanes own) = 0;
};

class Watched : public ForwardedKv {
 public:
  Watched(std::unique_ptr<KvCache> of, Watch& by) : ForwardedKv(std::move(of)), by_(by) {}
  Result<KvLanes> reads(Ops& ops, int32_t layer, Rows queries, const AttendSpec& how) override {
    by_.query(ops, layer, queries, how, of_->lanes(layer));
    return of_->reads(ops, layer, queries, how);
  }

 private:
  Watch& by_;
};

class Reader {
 public:
  static Result<std::unique_ptr<Reader>> make(const Options& options) {
    std::unique_ptr<Reader> it(new Reader(options));
    it->model_ = TRY(open_model(posix_env(), options.model, it->ledger_));
    if (it->model_->tokenizer() == nullptr) return Status(Code::invalid, "the model has no tokenizer");
    auto file = TRY(posix_env().open(options.text, Open::read));
    std::string text(size_t(std::min<int64_t>(TRY(file->size()), 16 << 20)), '\0');
    TRY(file->read(0, std::as_writable_bytes(std::span(text))));
    it->model_->tokenizer()->encode(text, false, it->text_);
    const int32_t words = it->model_->shape().vocabulary;
    it->scratch_ = TRY(Scratch::make(
        it->ledger_, it->model_->scratch_bytes(kChunk, kChunk) + Scratch::bytes_for(kChunk, words)));
    return it;
  }

  const ModelShape& shape() const { return model_->shape(); }
  std::span<const Token> text() const { return text_; }
  Ops& ops() { return ops_; }
  Ledger& ledger() { return ledger_; }

  Result<std::unique_ptr<KvCache>> cache(const std::string& recipe, int32_t tokens) {
    auto pool = TRY(make_kv_pool(ledger_, shape().kv, TRY(parse_kv_recipe(recipe))));
    auto kv = TRY(make_kv_cache(std::move(pool)));
    TRY(kv->reserve(tokens));
    return kv;
  }
  // -log p of what follows each row, summed; `rows` at a time.
  Result<double> read_on(KvCache& kv, std::span<const Token> text, int32_t rows) {
    double nats = 0;
    while (kv.tokens() + 1 < int32_t(text.size())) {
      const int32_t first = kv.tokens(), n = std::min(rows, int32_t(text.size()) - 1 - first);
      std::vector<int32_t> positions, outputs;
      for (int32_t i = 0; i < n; ++i) positions.push_back(first + i), outputs.push_back(i);
      for (int32_t i = 0; i < n; ++i)
        kv.notes().sentences.push_back(ends_sentence(*model_->tokenizer(), text[size_t(first + i)]));
      const Segment segment{0, n, &kv, nullptr};
      const int64_t mark = scratch_.mark();
      Rows logits = scratch_.take(n, shape().vocabulary);
      TRY(model_->forward({text.subspan(size_t(first), size_t(n)), positions, {&segment, 1}, outputs}, ops_,
                          scratch_, logits));
      std::vector<float> host(size_t(n) * size_t(shape().vocabulary));
      ops_.store(logits, host);
      for (int32_t i = 0; i < n; ++i) {
        const double one =
            surprise(std::span(host).subspan(size_t(i * shape().vocabulary), size_t(shape().vocabulary)),
                     text[size_t(first + i + 1)]);
        kv.notes().surprised(first + i + 1, float(one));
        nats += one;
      }
      scratch_.release(mark);
    }
    return nats;
  }

 private:
  static constexpr int32_t kChunk = 64;
  explicit Reader(const Options& options) : pool_(options.threads), ops_(pool_) {}
  static double surprise(std::span<const float> logits, Token next) {
    const float largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float one : logits) sum += std::exp(double(one) - double(largest));
    return std::log(sum) + double(largest) - double(logits[size_t(next)]);
  }

  Ledger ledger_{int64_t(1) << 40};
  ThreadPool pool_;
  Ops ops_;
  std::shared_ptr<const Model> model_;
  std::vector<Token> text_;
  Scratch scratch_;
};

Result<double> perplexity(Reader& reader, const std::string& recipe, int32_t tokens) {
  const auto text = reader.text().first(size_t(tokens));
  auto kv = TRY(reader.cache(recipe, tokens));
  TRY(reader.read_on(*kv, text.first(size_t(tokens / 2)), 64));
  const int32_t from = kv->tokens();
  const double nats = TRY(reader.read_on(*kv, text, 1));
  return std::exp(nats / (tokens - 1 - from));
}

// Every query over all of it and over what a selector chooses of it.
class Compare : public Watch {
 public:
  Compare(Reader& reader, std::vector<std::unique_ptr<KvCache>> before, const Options& options)
      : before_(std::move(before)) {
    const KvShape& kv = reader.shape().kv;
    for (const char* spec : kSelectors) {
      auto made = kv_selectors().make(spec);
      CHECK(made.ok(), "a selector of the list");
      std::shared_ptr<const KvSelector> selector = std::move(made).value();
      tries_.push_back({spec, std::make_unique<Selection>(selector, reader.ledger(), kv)});
    }
    const int32_t width = reader.shape().heads * kv.value_dim;
    auto scratch = Scratch::make(reader.ledger(), 2 * Scratch::bytes_for(1, width));
    CHECK(scratch.ok(), "room for two rows");
    scratch_ = std::move(*scratch);
    full_ = scratch_.take(1, width), some_ = scratch_.take(1, width);
    left_ = options.queries * kv.layers;
  }

  void query(Ops& ops, int32_t layer, Rows query, const AttendSpec& given, KvLanes own) override {
    if (left_ <= 0) return;
    if (query.count() == 1) --left_;
    AttendSpec how = given;
    how.causal = false;  // what was read in other windows lies before, whatever its position
    std::vector<std::vector<KvPageView>> pages(own.size());
    std::vector<std::span<const KvPageView>> lanes;
    for (size_t head = 0; head < own.size(); ++head) {
      for (const auto& kv : before_) {
        const auto more = kv->lanes(layer)[head];
        pages[head].insert(pages[head].end(), more.begin(), more.end());
      }
      whole_pages_ = pages[head].size();
      pages[head].insert(pages[head].end(), own[head].begin(), own[head].end());
      lanes.emplace_back(pages[head]);
    }
    if (query.count() > 1) {  // whoever watches prompts sees this one
      for (Try& one : tries_) CHECK(one.selection->choose(ops, layer, lanes, query, how, {}).ok(), "no disk");
      return;
    }
    const std::vector<int32_t> position{0};
    const AttendSegment all{0, 1, position, lanes};
    full_seconds_.push_back(bench::seconds([&] { ops.attend(how, query, {&all, 1}, full_); }));
    std::vector<float> exact(size_t(full_.width())), got(exact.size());
    ops.store(full_, exact);
    for (Try& one : tries_) {
      CHECK(one.selection->choose(ops, layer, lanes, query, how, {}).ok(),
            "no disk");  // what is new is remembered
      one.seconds.push_back(bench::seconds([&] {
        const AttendSegment few{0, 1, position, *one.selection->choose(ops, layer, lanes, query, how, {})};
        ops.attend(how, query, {&few, 1}, some_);
      }));
      ops.store(some_, got);
      double error = 0, size = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        error += std::pow(double(got[i]) - double(exact[i]), 2);
        size += std::pow(double(exact[i]), 2);
      }
      one.error += error, one.size += size;
      one.errors.push_back(std::sqrt(error / size));
    }
  }

  void report(std::vector<Measure>& out) const {
    const double full = bench::median(full_seconds_);
    out.push_back({.name = "all pages", .value = 1e3 * full, .unit = "ms a layer"});
    for (const Try& one : tries_) {
      const std::string name = "select=" + one.name;
      out.push_back(
          {.name = name + " output error", .value = 100 * std::sqrt(one.error / one.size), .unit = "%"});
      out.push_back({.name = name + " median error", .value = 100 * bench::median(one.errors), .unit = "%"});
      out.push_back({.name = name + " full attention takes",
                     .value = full / bench::median(one.seconds),
                     .unit = "times as long"});
      out.push_back({.name = name + " pages read",
                     .value = 100 * double(one.selection->read()) / double(one.selection->of()),
                     .unit = "%"});
    }
  }

 private:
  struct Try {
    std::string name;
    std::unique_ptr<Selection> selection;
    double error = 0, size = 0;
    std::vector<double> errors, seconds;
  };
  std::vector<std::unique_ptr<KvCache>> before_;
  std::vector<Try> tries_;
  std::vector<double> full_seconds_;
  Scratch scratch_;
  Rows full_, some_;
  size_t whole_pages_ = 0;
  int32_t left_ = 0;
};

Status stitch(Reader& reader, const Options& options, std::vector<Measure>& out) {
  const int32_t window = std::min(reader.shape().context, 4096) / kPageTokens * kPageTokens;
  std::vector<std::unique_ptr<KvCache>> before;
  size_t at = 0;
  for (int32_t done = 0; done + window < options.stitched; done += window, at += size_t(window)) {
    if (at + size_t(window) > reader.text().size()) at = 0;  // the text again
    before.push_back(TRY(reader.cache("pack=f16", window + 1)));
    std::vector<Token> text(reader.text().begin() + ptrdiff_t(at),
                            reader.text().begin() + ptrdiff_t(at + size_t(window)));
    text.push_back(text.front());  // so that the last token is read, too
    TRY(reader.read_on(*before.back(), text, 64));
  }
  if (at + size_t(window) > reader.text().size()) at = 0;
  const auto last = reader.text().subspan(at, size_t(window));
  Compare compare(reader, std::move(before), options);
  Watched kv(TRY(reader.cache("pack=f16", window)), compare);
  const auto prompt = last.first(last.size() - size_t(options.queries));
  TRY(reader.read_on(kv, prompt, 64));
  TRY(reader.read_on(kv, last, 1));
  compare.report(out);
  return {};
}

}  // namespace

Result<std::vector<Measure>> kv_read(const Spec& given) {
  const Options options = TRY(read(given));
  auto reader = TRY(Reader::make(options));
  if (int32_t(reader->text().size()) < options.tokens || options.tokens > reader->shape().context)
    return Status(Code::invalid, "a text of fewer tokens, or a model of a shorter context, than tokens=");
  std::vector<Measure> out;
  if (options.stitched > 0) {
    TRY(stitch(*reader, options, out));
    return out;
  }
  const double base = TRY(perplexity(*reader, "pack=f16", options.tokens));
  for (const char* recipe : kRecipes) {
    auto it = perplexity(*reader, recipe, options.tokens);
    if (it.code() == Code::invalid) continue;  // this model's heads do not fit the pack
    out.push_back({.name = std::string("perplexity, ") + recipe,
                   .value = TRY(std::move(it)),
                   .unit = "",
                   .baseline_name = "pack=f16",
                   .baseline = base});
  }
  return out;
}

}  // namespace varve::eval

// neurons: what choosing neurons costs a model, and what it saves. The model reads the beginning of a stretch
// of text and then goes on token by token, as if it wrote them: whether the likeliest next token is the same
// as when all neurons are computed, and the perplexity of what follows.
//
// Where a file of whole neurons lies beside the model (`varve neurons --whole` or `--sketch`), the model
// streams with next to nothing in memory, and what a token reads is counted; else rows are chosen in memory.
//
// Options: model=FILE, text=FILE, n=8 stretches, prompt=256 tokens, tokens=128 after it, shares=60+40+20 %
// for coreinfer, margins=0+1+2 for sketch, keep=0 MiB of weights in memory, precision=fast|exact, threads=0.
#include <algorithm>
#include <cmath>
#include <thread>

#include "bench/bench.h"
#include "core/io/env.h"
#include "run/model/choose/chooser.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"

namespace varve::eval {
namespace {

struct Settings {
  std::string model, text, shares = "60+40+20", margins = "0+1+2", precision = "fast";
  int n = 8, prompt = 256, tokens = 128, keep = 0, threads = 0;
};

Result<Settings> read_settings(Spec options) {
  Settings set;
  const std::pair<const char*, std::string*> texts[] = {{"model", &set.model},
                                                        {"text", &set.text},
                                                        {"shares", &set.shares},
                                                        {"margins", &set.margins},
                                                        {"precision", &set.precision}};
  for (const auto& [name, to] : texts)
    if (auto found = options.options.extract(name)) *to = found.mapped();
  TRY(OptionReader(options)
          .read("n", set.n, 1, 100000)
          .read("prompt", set.prompt, 2, 1 << 16)
          .read("tokens", set.tokens, 2, 1 << 16)
          .read("keep", set.keep, 0, 1 << 20)
          .read("threads", set.threads, 0, 1024)
          .done());
  if (set.precision != "fast" && set.precision != "exact")
    return Status(Code::invalid, "precision is fast or exact");
  if (set.model.empty() || set.text.empty())
    return Status(Code::not_found, "name a trained model and a text: model=FILE text=FILE");
  return set;
}

// What a row of logits says: the likeliest token, and how likely the one that came is.
struct Said {
  std::vector<Token> likeliest;
  double nats = 0;
};

class Reader {
 public:
  static Result<std::unique_ptr<Reader>> make(const Settings& set, std::shared_ptr<const Model> model,
                                              Ledger& ledger) {
    std::unique_ptr<Reader> reader(new Reader(set, std::move(model), ledger));
    const ModelShape& shape = reader->model_->shape();
    const int32_t rows = std::max(1, set.prompt);
    reader->scratch_ = TRY(Scratch::make(
        ledger, Scratch::bytes_for(1, shape.vocabulary) + reader->model_->scratch_bytes(rows, 1)));
    reader->pool_ = TRY(make_kv_pool(ledger, shape.kv, {}));
    reader->row_.resize(size_t(shape.vocabulary));
    return reader;
  }
  const Model& model() const { return *model_; }

  // The prompt at once, then the others one by one. chooser null: all neurons.
  Status read(std::span<const Token> text, const NeuronChooser* chooser, Said& said) {
    std::unique_ptr<NeuronChoice> choice;
    const ModelShape& shape = model_->shape();
    if (chooser != nullptr) choice = TRY(chooser->begin({shape.layers, shape.neurons}, ledger_));
    const auto kv = TRY(make_kv_cache(pool_));
    TRY(kv->reserve(int32_t(text.size())));
    const auto prompt = size_t(set_.prompt);
    for (size_t done = 0; done + 1 < text.size();) {
      const size_t some = done == 0 ? prompt : 1;
      ops_.reading(done == 0);
      TRY(step(text.subspan(done, some), *kv, choice.get()));
      done += some;
      const auto most = std::max_element(row_.begin(), row_.end());
      said.likeliest.push_back(Token(most - row_.begin()));
      double sum = 0;
      for (const float logit : row_) sum += std::exp(double(logit) - double(*most));
      said.nats += double(*most) + std::log(sum) - double(row_[size_t(text[done])]);
    }
    return {};
  }

 private:
  Reader(const Settings& set, std::shared_ptr<const Model> model, Ledger& ledger)
      : set_(set),
        model_(std::move(model)),
        ledger_(ledger),
        threads_(set.threads > 0 ? set.threads : int(std::max(1u, std::thread::hardware_concurrency()))),
        ops_(threads_, set.precision == "fast" ? Ops::Precision::fast : Ops::Precision::exact) {}

  Status step(std::span<const Token> tokens, KvCache& kv, NeuronChoice* choice) {
    std::vector<int32_t> positions;
    for (size_t i = 0; i < tokens.size(); ++i) positions.push_back(kv.tokens() + int32_t(i));
    const Segment segment{0, int32_t(tokens.size()), &kv, nullptr, choice};
    const int32_t last = int32_t(tokens.size()) - 1;
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(1, int32_t(row_.size()));
    TRY(model_->forward({tokens, positions, {&segment, 1}, {&last, 1}}, ops_, scratch_, logits));
    ops_.store(logits, row_);
    scratch_.release(mark);
    return {};
  }

  const Settings& set_;
  const std::shared_ptr<const Model> model_;
  Ledger& ledger_;
  ThreadPool threads_;
  Ops ops_;
  Scratch scratch_;
  std::shared_ptr<KvPool> pool_;
  std::vector<float> row_;
};

Result<std::vector<std::vector<Token>>> stretches(const Settings& set, const Tokenizer& tokenizer) {
  const auto bytes = TRY(read_file(posix_env(), set.text, int64_t(64) << 20));
  const std::string_view words(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<Token> tokens;
  tokenizer.encode(words, true, tokens);
  const size_t each = size_t(set.prompt + set.tokens);
  if (tokens.size() < each) return Status(Code::invalid, "the text is shorter than one stretch");
  const size_t step = std::max(each, tokens.size() / size_t(set.n));
  std::vector<std::vector<Token>> all;
  for (size_t at = 0; at + each <= tokens.size() && all.size() < size_t(set.n); at += step)
    all.emplace_back(tokens.begin() + ptrdiff_t(at), tokens.begin() + ptrdiff_t(at + each));
  return all;
}

struct Outcome {
  Said said;
  StreamCounts counts;  // of the tokens after the prompts
  StreamPlan plan;
  bool streams = false;
};

// spec empty: all neurons, of weights in memory.
Result<Outcome> run(const Settings& set, const std::string& spec, std::span<const std::vector<Token>> texts) {
  Ledger ledger(int64_t(1) << 40);
  Outcome outcome;
  const bool beside = TRY(posix_env().exists(neurons_path(set.model)));
  std::unique_ptr<NeuronChooser> chooser;
  if (!spec.empty() && spec != "firing") chooser = TRY(neuron_choosers().make(spec));
  outcome.streams = !spec.empty() && beside;
  const auto model = outcome.streams
                         ? TRY(open_planned_model(posix_env(), set.model, ledger,
                                                  TRY(neuron_use(chooser == nullptr ? "" : spec))))
                         : TRY(open_model(posix_env(), set.model, ledger));
  Streaming* streaming = model->weights().streaming();
  if (streaming != nullptr) streaming->keep(int64_t(set.keep) << 20);
  if (chooser != nullptr && chooser->foresees() &&
      (model->weights().neurons() == nullptr || !model->weights().neurons()->sketch(0)))
    return Status(Code::not_found, "no sketch lies beside the model: varve neurons --sketch q4_0");
  const auto reader = TRY(Reader::make(set, model, ledger));
  for (const std::vector<Token>& text : texts) TRY(reader->read(text, chooser.get(), outcome.said));
  if (streaming != nullptr) outcome.counts = streaming->counts(), outcome.plan = streaming->plan();
  return outcome;
}

std::vector<std::string> parts(const std::string& text, const std::string& before, double scale) {
  std::vector<std::string> all;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('+', at), text.size());
    all.push_back(before + std::to_string(std::strtod(text.substr(at, end - at).c_str(), nullptr) * scale));
    at = end + 1;
  }
  return all;
}

void report(const std::string& spec, const Outcome& one, const Outcome& whole, std::vector<Measure>& out) {
  const size_t count = whole.said.likeliest.size();
  size_t same = 0;
  for (size_t i = 0; i < count; ++i) same += one.said.likeliest[i] == whole.said.likeliest[i];
  const double share = double(same) / double(count);
  const double wide = 196 * std::sqrt(share * (1 - share) / double(count));
  out.push_back({.name = spec + ": same likeliest token",
                 .value = 100 * share,
                 .unit = "%",
                 .asked = int64_t(count),
                 .low = std::max(0.0, 100 * share - wide),
                 .high = std::min(100.0, 100 * share + wide)});
  out.push_back({spec + ": perplexity", std::exp(one.said.nats / double(count)), "", "all neurons",
                 std::exp(whole.said.nats / double(count))});
  if (!one.streams || one.counts.neurons == 0) return;
  const double passes = double(one.counts.neurons) / double(std::max<int64_t>(1, one.plan.neuron_count));
  out.push_back(
      {spec + ": neurons computed", 100 * double(one.counts.fired) / double(one.counts.neurons), "%", "", 0});
  out.push_back({spec + ": of them in memory",
                 100 * double(one.counts.fired_there) / double(std::max<int64_t>(1, one.counts.fired)), "%",
                 "", 0});
  out.push_back({spec + ": bytes of neurons used by a token",
                 double(one.counts.fired) * double(one.plan.neuron_row) / passes / 1e6, "MB", "all of them",
                 double(one.plan.neuron_count) * double(one.plan.neuron_row) / 1e6});
  out.push_back({spec + ": bytes of neurons read for a token",
                 double(one.counts.neuron_read_bytes) / passes / 1e6, "MB", "", 0});
  out.push_back({spec + ": weights of a pass beside them", double(one.plan.pass_bytes) / 1e6, "MB", "", 0});
}

}  // namespace

Result<std::vector<Measure>> neurons(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  std::vector<std::vector<Token>> texts;
  {
    Ledger ledger(int64_t(1) << 40);
    const auto model = TRY(open_model(posix_env(), set.model, ledger));
    if (model->tokenizer() == nullptr) return Status(Code::invalid, "the model has no tokenizer");
    if (model->shape().neurons == 0) return Status(Code::invalid, "neurons of this model cannot be chosen");
    texts = TRY(stretches(set, *model->tokenizer()));
  }
  const Outcome whole = TRY(run(set, "", texts));
  std::vector<std::string> specs = parts(set.shares, "coreinfer:share=", .01);
  for (std::string& one : parts(set.margins, "sketch:margin=", 1)) specs.push_back(std::move(one));
  std::vector<Measure> out;
  if (TRY(posix_env().exists(neurons_path(set.model)))) specs.insert(specs.begin(), "firing");
  for (const std::string& spec : specs) {
    auto one = run(set, spec, texts);
    if (one.code() == Code::not_found) continue;  // it has no sketch
    report(spec, TRY(std::move(one)), whole, out);
  }
  return out;
}

}  // namespace varve::eval

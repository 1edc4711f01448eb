// splices: what it costs in fidelity that chunks of a text were read alone and stand in its middle, beside
// reading all of it: divergence of the next-token distributions after them, and how often the likeliest token
// is the same. model=FILE, text=FILE.
#include <algorithm>
#include <cmath>

#include "bench/bench.h"
#include "core/io/env.h"
#include "run/engine/splice.h"

namespace varve::eval {
namespace {

struct Settings {
  std::string model, text;
  int before = 24, chunk = 96, chunks = 2, after = 48, items = 24, threads = 1;
};

Result<Settings> read_settings(Spec options) {
  Settings set;
  if (auto model = options.options.extract("model")) set.model = model.mapped();
  if (auto text = options.options.extract("text")) set.text = text.mapped();
  TRY(OptionReader(options)
          .read("before", set.before, 1, 1 << 16)
          .read("chunk", set.chunk, 2, 1 << 16)
          .read("chunks", set.chunks, 1, 64)
          .read("after", set.after, 2, 1 << 16)
          .read("items", set.items, 1, 100000)
          .read("threads", set.threads, 0, 1024)
          .done());
  if (set.model.empty() || set.text.empty())
    return Status(Code::not_found, "name a trained model and a text: model=FILE text=FILE");
  return set;
}

class Reader {
 public:
  Reader(const Model& model, std::shared_ptr<KvPool> pool, Ledger& ledger, int threads)
      : model_(model), pool_(std::move(pool)), threads_(threads), ops_(threads_, Ops::Precision::exact) {
    scratch_ = Scratch::make(ledger, Scratch::bytes_for(kRows, model.shape().vocabulary) +
                                         Scratch::bytes_for(kRows, model.shape().width) +
                                         model.scratch_bytes(kRows, kRows))
                   .value();
  }
  std::unique_ptr<KvCache> start() { return make_kv_cache(pool_).value(); }

  // Reads tokens on; the logits of each, when wanted.
  Status read(KvCache& kv, std::span<const Token> tokens, std::vector<std::vector<float>>* logits) {
    for (size_t done = 0; done < tokens.size(); done += size_t(kRows)) {
      const auto some = tokens.subspan(done, std::min(size_t(kRows), tokens.size() - done));
      std::vector<int32_t> positions, outputs;
      for (size_t i = 0; i < some.size(); ++i) {
        positions.push_back(kv.tokens() + int32_t(i));
        if (logits != nullptr) outputs.push_back(int32_t(i));
      }
      const Segment segment{0, int32_t(some.size()), &kv, nullptr};
      const Batch batch{
          .tokens = some, .positions = positions, .segments = {&segment, 1}, .outputs = outputs};
      const int64_t mark = scratch_.mark();
      Rows out = scratch_.take(int32_t(outputs.size()), model_.shape().vocabulary);
      Status status = model_.forward(batch, ops_, scratch_, out);
      for (int32_t i = 0; status.ok() && i < out.count(); ++i) {
        logits->emplace_back(size_t(out.width()));
        ops_.store(out.slice(i, 1), logits->back());
      }
      scratch_.release(mark);
      TRY(std::move(status));
    }
    return {};
  }
  Result<int32_t> splice(KvCache& kv, const Splice& from, std::span<const Token> tokens) {
    return varve::splice({model_, pool_, ops_, scratch_, kRows}, from, tokens, nullptr, kv);
  }

 private:
  static constexpr int32_t kRows = 64;
  const Model& model_;
  const std::shared_ptr<KvPool> pool_;
  ThreadPool threads_;
  Ops ops_;
  Scratch scratch_;
};

std::vector<double> probabilities(const std::vector<float>& logits) {
  const double top = double(*std::max_element(logits.begin(), logits.end()));
  std::vector<double> all;
  double sum = 0;
  for (float one : logits) sum += all.emplace_back(std::exp(double(one) - top));
  for (double& one : all) one /= sum;
  return all;
}

struct Off {
  double divergence = 0, same = 0;
  int64_t count = 0;
  void add(const std::vector<std::vector<float>>& exact, const std::vector<std::vector<float>>& other) {
    for (size_t i = 0; i < exact.size(); ++i) {
      const auto p = probabilities(exact[i]), q = probabilities(other[i]);
      for (size_t token = 0; token < p.size(); ++token)
        if (p[token] > 0) divergence += p[token] * std::log(p[token] / std::max(q[token], 1e-30));
      same += std::max_element(p.begin(), p.end()) - p.begin() ==
              std::max_element(q.begin(), q.end()) - q.begin();
      ++count;
    }
  }
};

struct Item {
  std::vector<Token> before, after, all;
  std::vector<std::vector<Token>> chunks;
};

Item cut(const Settings& set, std::span<const Token> text, Token begin) {
  Item item;
  const auto take = [&](int count) {
    std::vector<Token> some(text.begin(), text.begin() + count);
    text = text.subspan(size_t(count));
    return some;
  };
  item.before = take(set.before);
  if (begin >= 0) item.before.insert(item.before.begin(), begin);
  item.all = item.before;
  for (int i = 0; i < set.chunks; ++i) {
    item.chunks.push_back(take(set.chunk));
    item.all.insert(item.all.end(), item.chunks.back().begin(), item.chunks.back().end());
  }
  item.after = take(set.after);
  item.all.insert(item.all.end(), item.after.begin(), item.after.end());
  return item;
}

// share < 0: the chunks are left out.
Status measure(Reader& reader, const Item& item, Token begin, float share,
               std::vector<std::vector<float>>& logits) {
  auto kv = reader.start();
  TRY(reader.read(*kv, item.before, nullptr));
  for (const std::vector<Token>& chunk : item.chunks) {
    if (share < 0) continue;
    std::vector<Token> alone = chunk;
    if (begin >= 0) alone.insert(alone.begin(), begin);
    auto state = reader.start();
    TRY(reader.read(*state, alone, nullptr));
    const int32_t first = begin >= 0 ? 1 : 0;
    const Splice splice{.at = kv->tokens(),
                        .first = first,
                        .count = int32_t(chunk.size()),
                        .patched = share,
                        .kv = TRY(state->snapshot(state->tokens()))};
    TRY(reader.splice(*kv, splice, item.all));
  }
  return reader.read(*kv, item.after, &logits);
}

Status measure_all(const Settings& set, std::vector<Measure>& out) {
  Ledger ledger(int64_t(1) << 40);
  const auto model = TRY(open_model(posix_env(), set.model, ledger));
  if (model->tokenizer() == nullptr) return Status(Code::invalid, "the model has no tokenizer");
  const auto pool = TRY(make_kv_pool(ledger, model->shape().kv, TRY(parse_kv_recipe("pack=f16"))));
  TRY(can_splice(*model, *pool));
  const auto bytes = TRY(read_file(posix_env(), set.text, int64_t(64) << 20));
  const std::string_view words(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<Token> tokens;
  model->tokenizer()->encode(words, false, tokens);
  const size_t each = size_t(set.before + set.chunks * set.chunk + set.after);
  if (tokens.size() < each) return Status(Code::invalid, "the text is shorter than one item");
  const Token begin = model->tokenizer()->special().bos.value_or(-1);
  Reader reader(*model, pool, ledger, std::max(1, set.threads));
  const std::vector<float> shares{0, 0.05f, 0.15f, 0.3f, 1};
  std::vector<Off> off(shares.size());
  Off without;
  const size_t step = std::max(each, tokens.size() / size_t(set.items));
  for (size_t at = 0; at + each <= tokens.size() && without.count < int64_t(set.items) * set.after;
       at += step) {
    const Item item = cut(set, std::span(tokens).subspan(at, each), begin);
    std::vector<std::vector<float>> exact, other;
    auto kv = reader.start();
    TRY(reader.read(*kv, std::span(item.all).first(item.all.size() - item.after.size()), nullptr));
    TRY(reader.read(*kv, item.after, &exact));
    TRY(measure(reader, item, begin, -1, other));
    without.add(exact, other);
    for (size_t i = 0; i < shares.size(); ++i) {
      other.clear();
      TRY(measure(reader, item, begin, shares[i], other));
      off[i].add(exact, other);
    }
  }
  const double count = double(std::max<int64_t>(1, without.count));
  for (size_t i = 0; i < shares.size(); ++i) {
    const std::string name =
        i == 0 ? "rerotated" : "patched " + std::to_string(int(shares[i] * 100 + 0.5f)) + " %";
    out.push_back({.name = name + ", KL to reading",
                   .value = off[i].divergence / count,
                   .unit = "nats",
                   .baseline_name = "without the chunks",
                   .baseline = without.divergence / count});
    out.push_back({.name = name + ", same likeliest token",
                   .value = off[i].same / count,
                   .baseline_name = "without the chunks",
                   .baseline = without.same / count,
                   .asked = off[i].count});
  }
  return {};
}

}  // namespace

Result<std::vector<Measure>> splices(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  std::vector<Measure> out;
  TRY(measure_all(set, out));
  return out;
}

}  // namespace varve::eval

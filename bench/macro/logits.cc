// logits: how far logits are from those of the same weights with f32 activations, written token by token and
// read at once; beside what another program made of the same file (bench/peers/llamacpp_logits.sh).
//
// Options: model=FILE, tokens=64; written=FILE, read=FILE: that program's logits, f32, a row a token.
#include <cstring>

#include "bench/bench.h"
#include "core/io/env.h"
#include "math/ops/access.h"
#include "run/model/model.h"

namespace varve::bench {
namespace {

struct Settings {
  std::string model, written, read;
  int tokens = 64, threads = 2;
};

Result<Settings> read_settings(Spec options) {
  Settings set;
  for (const auto& [key, value] :
       {std::pair{"model", &set.model}, {"written", &set.written}, {"read", &set.read}}) {
    if (auto found = options.options.extract(key)) *value = found.mapped();
  }
  TRY(OptionReader(options).read("tokens", set.tokens, 2, 4096).read("threads", set.threads, 1, 1024).done());
  if (set.model.empty()) return Status(Code::not_found, "name a model: model=FILE.gguf");
  return set;
}

class Desk {
 public:
  Desk(const Model& model, int tokens, ThreadPool& threads, Ledger& ledger)
      : model_(model), tokens_(tokens), threads_(threads), ledger_(ledger) {}

  // A row a token; `step` tokens at once.
  Result<std::vector<float>> logits(Ops::Precision precision, int step) {
    const int32_t vocabulary = model_.shape().vocabulary;
    Ops ops(threads_, precision);
    ops.reading(step > 1);
    Scratch scratch =
        TRY(Scratch::make(ledger_, model_.scratch_bytes(step, step) + Scratch::bytes_for(step, vocabulary)));
    const auto kv =
        TRY(make_kv_cache(TRY(make_kv_pool(ledger_, model_.shape().kv, TRY(parse_kv_recipe("pack=f32"))))));
    TRY(kv->reserve(tokens_));
    std::vector<float> all;
    for (int32_t first = 0; first < tokens_; first += step) {
      const int32_t rows = std::min(step, tokens_ - first);
      std::vector<Token> tokens;
      std::vector<int32_t> positions, outputs;
      for (int32_t i = 0; i < rows; ++i) {
        positions.push_back(first + i), outputs.push_back(i);
        tokens.push_back(((first + i) * 7 + 1) % vocabulary);
      }
      const Segment segment{0, rows, kv.get(), nullptr};
      const int64_t mark = scratch.mark();
      Rows out = scratch.take(rows, vocabulary);
      TRY(model_.forward({tokens, positions, {&segment, 1}, outputs}, ops, scratch, out));
      for (int32_t i = 0; i < rows; ++i)
        all.insert(all.end(), RowsAccess::row(out, i), RowsAccess::row(out, i) + vocabulary);
      scratch.release(mark);
    }
    return all;
  }

 private:
  const Model& model_;
  const int tokens_;
  ThreadPool& threads_;
  Ledger& ledger_;
};

// Squared distance in parts of the reference's squares.
double distance(const std::vector<float>& got, const std::vector<float>& reference) {
  double off = 0, all = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    off += (double(got[i]) - reference[i]) * (double(got[i]) - reference[i]);
    all += double(reference[i]) * reference[i];
  }
  return all > 0 ? off / all : 0;
}

Result<double> distance_of(const std::string& file, const std::vector<float>& reference) {
  if (file.empty()) return 0.0;
  const auto bytes = TRY(read_file(posix_env(), file, int64_t(1) << 32));
  if (bytes.size() != reference.size() * sizeof(float))
    return Status(Code::invalid, file + " holds logits of other tokens or another model");
  std::vector<float> theirs(reference.size());
  std::memcpy(theirs.data(), bytes.data(), bytes.size());
  return distance(theirs, reference);
}

}  // namespace

Result<std::vector<Measure>> logits(const Spec& options) {
  const Settings set = TRY(read_settings(options));
  Ledger ledger(int64_t(8) << 30);
  ThreadPool threads(set.threads);
  const auto model = TRY(open_model(posix_env(), set.model, ledger));
  Desk desk(*model, set.tokens, threads, ledger);
  const auto reference = TRY(desk.logits(Ops::Precision::exact, 1));
  const auto written = TRY(desk.logits(Ops::Precision::fast, 1));
  const auto read = TRY(desk.logits(Ops::Precision::fast, set.tokens));
  return std::vector<Measure>{
      {"written one by one, squared error", distance(written, reference), "of f32's squares",
       "the other program's", TRY(distance_of(set.written, reference))},
      {"read at once, squared error", distance(read, reference), "of f32's squares", "the other program's",
       TRY(distance_of(set.read, reference))}};
}

}  // namespace varve::bench

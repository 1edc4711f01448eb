// Texts to vectors: a static table (embeddings=FOLDER or FILE.gguf), and hidden states of a model
// (model=FILE).
#include <chrono>
#include <filesystem>

#include "bench/bench.h"
#include "run/embed/embedder.h"
#include "run/embed/likelihood.h"

namespace varve::bench {
namespace {

// About 12, 100 and 400 tokens: a question, a turn, a passage.
std::string text_of(int sentences) {
  std::string text;
  for (int i = 0; i < sentences; ++i)
    text += "My dog was sick in May, so we drove to the vet in Bergen for a day. ";
  return text;
}

// How often in a second.
template <class Act>
Result<double> rate(const Act& act) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  int64_t count = 0;
  double seconds = 0;
  do {
    TRY(act());
    ++count;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < 1);
  return double(count) / seconds;
}

Status measure(const std::string& name, const Embedder& embedder, std::vector<Measure>& out) {
  for (const auto& [length, sentences] : {std::pair{"question", 1}, {"turn", 5}, {"passage", 20}}) {
    const std::string text = text_of(sentences);
    const double texts = TRY(rate([&] { return embedder.embed(text).status(); }));
    out.push_back({name + ", " + length, texts, "texts/s", {}, 0});
  }
  return {};
}

}  // namespace

Result<std::vector<Measure>> embed(const Spec& options) {
  const auto option = [&](const char* key, std::string fallback) {
    const auto found = options.options.find(key);
    return found == options.options.end() ? fallback : found->second;
  };
  const std::string table = option("embeddings", "../shared/data/models/static-embeddings");
  const std::string file = option("model", "../shared/data/models/tinyllamas/stories260K.gguf");
  Ledger ledger(int64_t(4) << 30);
  std::vector<Measure> out;
  if (std::filesystem::exists(table)) {
    const auto embedder = TRY(open_embedder(table, {posix_env(), ledger, nullptr}));
    TRY(measure("embeddings", *embedder, out));
    out.push_back({"embeddings, booked", double(ledger.used()) / 1048576, "MiB", {}, 0});
  }
  if (std::filesystem::exists(file)) {
    auto model = TRY(open_model(posix_env(), file, ledger));
    const auto engine = TRY(start_engine(std::move(model), ledger, {}));
    const auto embedder = TRY(open_embedder("model", {posix_env(), ledger, engine.get()}));
    TRY(measure("hidden states", *embedder, out));
    const auto scorer = TRY(make_likelihood_scorer(*engine));
    const std::string question = text_of(1), turn = text_of(5);
    const std::vector<std::string_view> turns(20, turn);
    const double calls = TRY(rate([&] { return scorer->score(question, turns).status(); }));
    out.push_back({"likelihood of a question after 20 turns", 1000 / calls, "ms", {}, 0});
  }
  if (out.empty()) return Status(Code::not_found, "absent: " + table + " and " + file);
  return out;
}

}  // namespace varve::bench

#include "eval/collection.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "memory/recall/recall.h"
#include "run/embed/static_embedder.h"

namespace varve::eval {
namespace {

constexpr int64_t kMostBytes = 64 << 20;
constexpr const char* kEmbeddings = "../shared/data/models/static-embeddings";

struct Score {
  double r1 = 0, r10 = 0, ndcg = 0, mrr = 0;
  int64_t questions = 0;
};

Score score_of(const std::vector<size_t>& ranked, const std::map<size_t, int>& gold) {
  Score score{.questions = 1};
  std::vector<int> grades;
  for (const auto& [document, grade] : gold) grades.push_back(grade);
  std::sort(grades.rbegin(), grades.rend());
  double ideal = 0;
  for (size_t i = 0; i < std::min<size_t>(10, grades.size()); ++i)
    ideal += grades[i] / std::log2(double(i) + 2);
  for (size_t i = 0; i < ranked.size(); ++i) {
    const auto found = gold.find(ranked[i]);
    if (found == gold.end()) continue;
    if (score.mrr == 0) score.mrr = 1 / double(i + 1);
    if (i < 1) score.r1 += 1 / double(gold.size());
    if (i < 10)
      score.r10 += 1 / double(gold.size()), score.ndcg += found->second / std::log2(double(i) + 2) / ideal;
  }
  return score;
}

const Principal kWho{"collection"};

Result<std::map<CubeId, size_t>> store_all(CubeStore& store, const Collection& collection) {
  std::map<CubeId, size_t> number_of;
  for (size_t at = 0; at < collection.documents.size();) {
    const size_t end = std::min(at + 500, collection.documents.size());
    std::vector<MemoryOp> ops;
    for (size_t i = at; i < end; ++i) {
      MemoryOp op;
      op.draft.header.kind = "passage";
      op.draft.header.title = collection.documents[i].title;
      op.draft.payload = collection.documents[i].text;
      ops.push_back(std::move(op));
    }
    const auto ids = TRY(store.apply(kWho, std::move(ops)));
    for (size_t i = 0; i < ids.size(); ++i) number_of[ids[i]] = at + i;
    at = end;
  }
  return number_of;
}

Result<Score> ask_all(const Recall& recall, const Collection& collection,
                      const std::map<CubeId, size_t>& number_of) {
  Score sum;
  for (const Collection::Question& question : collection.questions) {
    if (question.gold.empty()) continue;
    std::vector<size_t> ranked;
    for (const Recalled& one : TRY(recall.gather(kWho, {.text = question.text, .limit = 100})))
      ranked.push_back(number_of.at(one.header.id));
    const Score one = score_of(ranked, question.gold);
    sum.r1 += one.r1, sum.r10 += one.r10, sum.ndcg += one.ndcg, sum.mrr += one.mrr, ++sum.questions;
  }
  return sum;
}

void report(const std::string& name, const Score& score, const Score& base, std::vector<Measure>& out) {
  const auto add = [&](const std::string& what, double value, double baseline) {
    const double count = double(std::max<int64_t>(1, score.questions));
    out.push_back({name + " " + what, 100 * value / count, "%", "bm25, same run", 100 * baseline / count});
  };
  add("R@1", score.r1, base.r1);
  add("R@10", score.r10, base.r10);
  add("nDCG@10", score.ndcg, base.ndcg);
  add("MRR", score.mrr, base.mrr);
}

}  // namespace

std::string option(const Spec& options, std::string_view key, std::string_view fallback) {
  const auto found = options.options.find(key);
  return found == options.options.end() ? std::string(fallback) : found->second;
}

Result<std::string> read_data(const Spec& options, std::string_view key, std::string_view shared) {
  const std::string path = option(options, key, shared);
  if (!std::filesystem::exists(path)) {
    return Status(Code::not_found, "absent: " + path + " (" + std::string(key) + "=PATH names another)");
  }
  const auto bytes = TRY(read_file(posix_env(), path, kMostBytes));
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Result<TemporaryStore> TemporaryStore::open(std::string_view name, Ledger& ledger) {
  TemporaryStore made;
  made.folder_ = std::filesystem::temp_directory_path().string() + "/varve-" + std::string(name) + "-" +
                 std::to_string(getpid());
  made.store_ = TRY(CubeStore::open(posix_env(), made.folder_, ledger));
  return made;
}

TemporaryStore::~TemporaryStore() {
  if (!store_) return;  // moved from
  store_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Result<std::vector<Measure>> measure(const Collection& collection, const Spec& options) {
  Ledger ledger(int64_t(1) << 30);
  const TemporaryStore store = TRY(TemporaryStore::open("collection", ledger));
  const auto number_of = TRY(store_all(*store, collection));
  const std::string embeddings = option(options, "embeddings", kEmbeddings);
  std::unique_ptr<Embedder> embedder;
  if (std::filesystem::exists(embeddings))
    embedder = TRY(open_static_embedder(posix_env(), embeddings, ledger));

  struct Profile {
    std::string name, recipe;
    const Embedder* embedder;
  };
  std::vector<Profile> profiles{{"bm25", "bm25", nullptr}};
  if (options.options.contains("recipe")) {
    profiles.push_back({"recipe", option(options, "recipe", ""), embedder.get()});
  } else {
    profiles.push_back({"default", "default", nullptr});
    if (embedder != nullptr) profiles.push_back({"default+embeddings", "default", embedder.get()});
  }
  std::vector<Measure> out;
  Score bm25;
  for (const Profile& profile : profiles) {
    const auto recall = TRY(Recall::make(profile.recipe, *store, profile.embedder, ledger));
    const Score score = TRY(ask_all(*recall, collection, number_of));
    if (profile.name == "bm25") {
      bm25 = score;
      out.push_back({"questions", double(score.questions), "", {}, 0});
    }
    report(profile.name, score, bm25, out);
  }
  return out;
}

}  // namespace varve::eval

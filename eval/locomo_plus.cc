// LoCoMo-Plus: 401 short dialogues and, for each, something said weeks later that should bring it back
// although it shares no word with it. Every dialogue is one memory; R@k is the share of the later words for
// which the right one is among the first k of all. Chance is k / 401.
//
// Beside words and a static table it asks what the engine knows: hidden states of the model as vectors, and
// the model's own likelihood over the best `top`.
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "bench/bench.h"
#include "core/format/json.h"
#include "memory/recall/recall.h"
#include "run/embed/embedder.h"
#include "run/embed/likelihood.h"

namespace varve::eval {
namespace {

constexpr int kPlaces[] = {1, 5, 10, 20};

struct Pair {
  std::string cue, trigger;
  CubeId id;
};

struct Scene {
  std::string folder;
  Ledger ledger{int64_t(1) << 30};
  std::unique_ptr<CubeStore> store;
  std::unique_ptr<Engine> engine;
  std::vector<Pair> pairs;
  Principal who{"plus"};
  ~Scene() {
    engine.reset();
    store.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

struct Profile {
  std::string name, recipe, embeddings;
};

Status ingest(Scene& scene, const std::string& data) {
  const auto bytes = TRY(read_file(posix_env(), data, 64 << 20));
  const Json all = TRY(parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  std::vector<MemoryOp> ops;
  for (const Json& one : all.as_array()) {
    scene.pairs.push_back({one["cue_dialogue"].as_string(), one["trigger_query"].as_string(), {}});
    MemoryOp op;
    op.draft.header.kind = "turn";
    op.draft.header.space = scene.who.name;
    op.draft.header.session = "cue-" + std::to_string(scene.pairs.size());
    op.draft.header.turn = 1;
    op.draft.payload = scene.pairs.back().cue;
    ops.push_back(std::move(op));
  }
  const auto ids = TRY(scene.store->apply(scene.who, std::move(ops)));
  for (size_t i = 0; i < ids.size(); ++i) scene.pairs[i].id = ids[i];
  return {};
}

// The place of each right cue, from 0; of those that were not found, the number of cues.
Result<std::vector<size_t>> places(Scene& scene, const Profile& profile) {
  std::unique_ptr<Embedder> embedder;
  if (!profile.embeddings.empty()) {
    embedder = TRY(open_embedder(profile.embeddings, {posix_env(), scene.ledger, scene.engine.get()}));
  }
  std::unique_ptr<Scorer> scorer;
  if (scene.engine != nullptr) scorer = TRY(make_likelihood_scorer(*scene.engine, {.most_ms = 600000}));
  const auto recall = TRY(Recall::make(profile.recipe, *scene.store, embedder.get(), scene.ledger,
                                       system_clock(), {scorer.get()}));
  std::vector<size_t> found;
  for (const Pair& pair : scene.pairs) {
    const auto hits = TRY(recall->gather(scene.who, {.text = pair.trigger, .limit = kPlaces[3]}));
    size_t place = 0;
    while (place < hits.size() && hits[place].header.id != pair.id) ++place;
    found.push_back(place < hits.size() ? place : scene.pairs.size());
  }
  return found;
}

double share(const std::vector<size_t>& places, int k) {
  const auto within = std::count_if(places.begin(), places.end(), [&](size_t at) { return at < size_t(k); });
  return 100 * double(within) / double(places.size());
}

}  // namespace

Result<std::vector<Measure>> locomo_plus(const Spec& options) {
  const auto option = [&](const char* key, std::string fallback) {
    const auto found = options.options.find(key);
    return found == options.options.end() ? fallback : found->second;
  };
  const std::string data = option("data", "../shared/data/locomo_plus/locomo_plus.json");
  const std::string table = option("embeddings", "../shared/data/models/static-embeddings");
  const std::string model = option("model", "../shared/data/models/tinyllamas/stories260K.gguf");
  if (!std::filesystem::exists(data))
    return Status(Code::not_found, "absent: " + data + " (data=PATH names another)");
  Scene scene;
  scene.folder = std::filesystem::temp_directory_path().string() + "/varve-plus-" + std::to_string(getpid());
  scene.store = TRY(CubeStore::open(posix_env(), scene.folder, scene.ledger));
  TRY(ingest(scene, data));
  if (std::filesystem::exists(model)) {
    scene.engine = TRY(start_engine(TRY(open_model(posix_env(), model, scene.ledger)), scene.ledger, {}));
  }
  std::vector<Profile> profiles{{"bm25", "bm25", ""}, {"default", "default", ""}};
  if (std::filesystem::exists(table)) {
    profiles.push_back({"dense, table", "dense", table});
    profiles.push_back({"default, table", "default", table});
  }
  if (scene.engine != nullptr) {
    for (const char* how : {"model", "model:pool=weighted", "model:layer=1", "model:prompt=echo"})
      profiles.push_back({"dense, " + std::string(how), "dense", how});
    if (std::filesystem::exists(table)) {
      profiles.push_back(
          {"dense + likelihood", "dense+likelihood:weight=10,top=" + option("top", "20"), table});
    }
  }
  if (options.options.contains("recipe"))
    profiles.push_back({"recipe", option("recipe", ""), std::filesystem::exists(table) ? table : ""});
  std::vector<Measure> out;
  for (const Profile& profile : profiles) {
    const auto found = TRY(places(scene, profile));
    for (int k : kPlaces) {
      out.push_back({profile.name + " R@" + std::to_string(k), share(found, k), "%", "chance",
                     100.0 * k / double(scene.pairs.size())});
    }
  }
  return out;
}

}  // namespace varve::eval

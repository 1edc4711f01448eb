// TiM (Liu et al. 2023, "Think-in-Memory"): after an answer, thoughts (relations between two things) are
// stored by locality-sensitive hashing, and within a bucket inserted, forgotten when contradicted, merged
// when alike. Differences: a forgotten thought is superseded and comes back when what replaced it is erased;
// a merged one cites both. Hashing is by the signs of random hyperplanes over the embedder's vector, or over
// hashed terms. One answer of the Writer a turn, two when a bucket is not empty; without one, nothing.
#include <map>
#include <set>

#include "core/base/rng.h"
#include "memory/reflect/ask.h"
#include "memory/reflect/derive.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kThought = "tim.thought";
constexpr size_t kShown = 24;  // old thoughts in one question

struct Options {
  int bits = 4;      // hyperplanes: 2^bits buckets
  int thoughts = 6;  // of one turn, at most
};

struct Decision {
  std::string action = "insert";
  int64_t target = 0;
  std::string text;
};

class TiM : public Reflector {
 public:
  explicit TiM(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {std::string(kThought)}; }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    std::vector<MemoryOp> ops;
    if (writer == nullptr || words_of(turn).empty() || evidence_of(turn).empty()) return ops;
    const std::vector<std::string> thoughts = TRY(think(turn, *writer));
    std::vector<Unit> old;
    Json fresh = Json::array();
    for (size_t i = 0; i < thoughts.size(); ++i) {
      Json near = TRY(same_bucket(who, turn, known, thoughts[i], old));
      fresh.push(
          Json::object().set("thought", int64_t(i)).set("text", thoughts[i]).set("known", std::move(near)));
    }
    std::vector<Decision> decisions(thoughts.size());
    if (!old.empty()) decisions = TRY(decide(std::move(fresh), old, thoughts.size(), *writer));
    std::set<int64_t> taken;
    for (size_t i = 0; i < thoughts.size(); ++i) {
      const Decision& one = decisions[i];
      if (one.action == "same") continue;
      const bool merge = one.action == "merge" && !one.text.empty();
      MemoryOp op = TRY(stored(turn, known, merge ? one.text : thoughts[i]));
      if (one.action != "insert") {
        const CubeHeader& before = old[size_t(one.target)].header;
        const bool later = before.event.value_or(before.recorded) > turn.time;
        if (later || !taken.insert(one.target).second) continue;
        op.draft.header.supersedes = {before.id};
        if (merge) op.draft.header.from.push_back({before.id, before.version});
      }
      ops.push_back(std::move(op));
    }
    return ops;
  }

 private:
  Result<std::vector<std::string>> think(const Turn& turn, Writer& writer) const {
    const auto word = answer::text(100);
    const Json made = TRY(ask(
        writer,
        {.words = "Think over this exchange. What does it establish that holds beyond it? Each "
                  "thought is a relation: 'head' and 'tail' are persons or things by name, "
                  "'relation' says how the first stands to the second. Nothing that is merely "
                  "asked or guessed; often none.",
         .material = exchange_of(turn),
         .example = R"({"thoughts": [{"head": "...", "relation": "...", "tail": "..."}]})",
         .shape = answer::record(
             {{"thoughts", answer::list(answer::record({{"head", word}, {"relation", word}, {"tail", word}}),
                                        options_.thoughts)}})}));
    std::vector<std::string> thoughts;
    std::set<std::string> seen;
    for (const Json& one : made["thoughts"].as_array()) {
      if (one["head"].as_string().empty() || one["tail"].as_string().empty()) continue;
      std::string text =
          one["head"].as_string() + " " + one["relation"].as_string() + " " + one["tail"].as_string();
      if (seen.insert(text).second) thoughts.push_back(std::move(text));
    }
    return thoughts;
  }

  Result<std::string> bucket(const Known& known, const std::string& text) const {
    const std::vector<float> vector = TRY(signature(text, known.embedder));
    std::string bits = "b";
    for (int plane = 0; plane < options_.bits; ++plane) {
      const RngKey normal{.seed = uint64_t(plane), .site = Site::init};
      double side = 0;
      for (size_t i = 0; i < vector.size(); ++i) {
        if (vector[i] != 0) side += vector[i] * random_normal(normal, i);
      }
      bits += side > 0 ? '1' : '0';
    }
    return bits;
  }

  Result<MemoryOp> stored(const Turn& turn, const Known& known, const std::string& text) const {
    return derived(turn, kThought, text, TRY(bucket(known, text)));
  }

  // The known thoughts of its bucket, newest first, by their places in `old`.
  Result<Json> same_bucket(const Principal& who, const Turn& turn, const Known& known,
                           const std::string& text, std::vector<Unit>& old) const {
    Json near = Json::array();
    std::vector<CubeHeader> all =
        TRY(all_of(who, turn, known, std::string(kThought) + "/" + TRY(bucket(known, text))));
    for (auto header = all.rbegin(); header != all.rend(); ++header) {
      size_t place = 0;
      while (place < old.size() && old[place].header.id != header->id) ++place;
      if (place == old.size()) {
        if (old.size() >= kShown) break;
        old.push_back({*header, TRY(known.cubes.payload(who, header->id))});
      }
      near.push(Json::object().set("target", int64_t(place)).set("text", clipped(old[place].text, 320)));
    }
    return near;
  }

  Result<std::vector<Decision>> decide(Json fresh, const std::vector<Unit>& old, size_t count,
                                       Writer& writer) const {
    const auto place = answer::number(0, int64_t(old.size()) - 1);
    const Json made = TRY(ask(
        writer,
        {.words = "New thoughts, each with known ones that resemble it. For each say: 'same' if a known "
                  "one says it already, 'replace' if it contradicts a known one, 'merge' if one sentence "
                  "('text') can say both, else 'insert'. 'target' is the known one meant, or 0.",
         .material = std::move(fresh),
         .example = R"({"decisions": [{"thought": 0, "action": "insert", "target": 0, "text": ""}]})",
         .shape = answer::record(
             {{"decisions", answer::list(answer::record({{"thought", answer::number(0, int64_t(count) - 1)},
                                                         {"action", answer::choice({"insert", "same",
                                                                                    "replace", "merge"})},
                                                         {"target", place},
                                                         {"text", answer::text(320)}}),
                                         int64_t(count))}})}));
    std::vector<Decision> decisions(count);
    for (const Json& one : made["decisions"].as_array()) {
      decisions[size_t(one["thought"].as_int())] = {one["action"].as_string(), one["target"].as_int(),
                                                    one["text"].as_string()};
    }
    return decisions;
  }

  const Options options_;
};

}  // namespace

Made tim(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("bits", options.bits, 0, 16).read("thoughts", options.thoughts, 1, 16).done());
  return std::unique_ptr<Reflector>(new TiM(options));
}

}  // namespace varve::reflector

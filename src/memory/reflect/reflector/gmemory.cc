// G-Memory (Zhang et al. 2025, "G-Memory: Tracing Hierarchical Memory for Multi-Agent Systems"): three
// graphs, one above the other: the utterances of an interaction, the queries that began them linked by
// likeness, and insights drawn from queries. Recall walks from a query to its neighbours, up to their
// insights and down to their interactions (the reranker `lineage`). Differences: the lowest graph is the
// evidence itself, and an insight that is refuted more often than confirmed is archived. One answer of the
// Writer a turn; without one, queries and their links.
#include <algorithm>
#include <set>

#include "memory/reflect/ask.h"
#include "memory/reflect/shared/playbook.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kQuery = "gmemory.query", kInsight = "gmemory.insight", kLink = "gmemory.link";
constexpr size_t kQueryBytes = 240;

struct Options {
  int neighbours = 3;
  double alike = 0.3;
  int insights = 2;  // of one turn, at most
};

class GMemory : public Reflector {
 public:
  explicit GMemory(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override {
    return {std::string(kQuery), std::string(kInsight), std::string(kLink)};
  }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    std::vector<MemoryOp> ops;
    const std::string words = clipped(trimmed(strip_recalled(turn.user)), kQueryBytes);
    if (words.empty() || evidence_of(turn).empty()) return ops;
    const auto insights = TRY(shown(who, turn, known, kInsight, 6));
    const Json made = writer != nullptr ? TRY(drawn(turn, insights, *writer)) : Json();
    const std::string status = writer != nullptr ? made["status"].as_string() : "unknown";
    ops.push_back(derived(turn, kQuery, "Query: " + one_line(words) + "\nStatus: " + status));
    for (const Unit& near : TRY(nearest(who, turn, known, words, kQuery, size_t(options_.neighbours)))) {
      if (near.likeness >= options_.alike) ops.push_back(link(turn, kLink, 0, near.header.id));
    }
    if (writer == nullptr) return ops;
    std::set<int64_t> counted;
    for (const bool confirmed : {true, false}) {
      for (const Json& place : made[confirmed ? "confirmed" : "refuted"].as_array()) {
        if (counted.insert(place.as_int()).second)
          TRY(count(who, turn, known, insights[size_t(place.as_int())], confirmed, ops));
      }
    }
    std::set<std::string> fresh;
    for (const Json& one : made["insights"].as_array()) {
      if (one.as_string().empty() || !fresh.insert(one.as_string()).second) continue;
      ops.push_back(derived(turn, kInsight, one.as_string()));
      ops.back().from_ops = {0};
    }
    return ops;
  }

 private:
  static std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  static Status count(const Principal& who, const Turn& turn, const Known& known, const Unit& insight,
                      bool confirmed, std::vector<MemoryOp>& ops) {
    Uses usage = TRY(usage_of(known.cubes, who, insight.header.id));
    usage.used += 1;
    usage.helped += confirmed;
    if (confirmed) ops.push_back(link(turn, kLink, 0, insight.header.id));
    ops.push_back(used(insight.header.id, confirmed));
    if (usage.used >= 3 && 2 * usage.helped < usage.used)
      ops.push_back(archived(insight.header.id, "refuted more often than confirmed"));
    return {};
  }

  Result<Json> drawn(const Turn& turn, const std::vector<Unit>& insights, Writer& writer) const {
    const auto place = answer::number(0, std::max<int64_t>(0, int64_t(insights.size()) - 1));
    const auto places = answer::list(place, int64_t(insights.size()));
    return ask(
        writer,
        {.words = "'known' are insights from earlier interactions, 'new' is an interaction. 'status': was "
                  "what was asked solved? 'insights': what it teaches that holds for other questions, "
                  "too; often none. 'confirmed' and 'refuted': the known insights that it speaks for and "
                  "against.",
         .material =
             Json::object().set("known", as_material(insights, "insight")).set("new", exchange_of(turn)),
         .example = R"({"status": "solved", "insights": [".."], "confirmed": [0], "refuted": []})",
         .shape = answer::record({{"status", answer::choice({"solved", "failed", "unknown"})},
                                  {"insights", answer::list(answer::text(300), options_.insights)},
                                  {"confirmed", places},
                                  {"refuted", places}}),
         .max_tokens = 64 + 120 * options_.insights});
  }

  const Options options_;
};

}  // namespace

Made gmemory(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("neighbours", options.neighbours, 0, 20)
          .read("alike", options.alike, 0.0, 1.0)
          .read("insights", options.insights, 1, 10)
          .done());
  return std::unique_ptr<Reflector>(new GMemory(options));
}

}  // namespace varve::reflector

// Derived: what reflectors that need no model derive from LoCoMo's conversations, and whether it helps. For
// each: cubes derived, and the share of gold turns inside 1,000 tokens by BM25 over the turns alone, over
// turns and derived cubes alike, and with the walk from what is derived to what was said.
#include <map>
#include <set>

#include "core/format/json.h"
#include "eval/collection.h"
#include "memory/recall/recall.h"
#include "memory/reflect/reflect.h"

namespace varve::eval {
namespace {

struct Asked {
  std::string text;
  std::set<CubeId> gold;
};

struct Talk {
  Principal who;
  std::map<std::string, CubeId> turns;  // "D3:7"
  std::vector<Asked> questions;
};

Status keep(CubeStore& store, const Json& talk, Talk& into) {
  for (int number = 1; number < 100; ++number) {
    const std::string session = "session_" + std::to_string(number);
    if (!talk[session].is_array()) continue;
    int32_t place = 0;
    for (const Json& turn : talk[session].as_array()) {
      CubeDraft draft;
      CubeHeader& h = draft.header;
      h.kind = "turn";
      h.space = into.who.name;
      h.session = session;
      h.turn = place++;
      h.speaker = turn["speaker"].as_string();
      h.event = TRY(parse_time("2023-01-01")) + number * 86'400'000ll * 7;  // a week between sessions
      draft.payload = turn["text"].is_string() ? turn["text"].as_string() : "";
      if (!draft.payload.empty()) into.turns[turn["dia_id"].as_string()] = TRY(store.put(into.who, draft));
    }
  }
  return {};
}

void read_questions(const Json& list, Talk& into) {
  for (const Json& one : list.as_array()) {
    Asked asked{one["question"].as_string(), {}};
    for (const Json& id : one["evidence"].as_array()) {
      const auto found = id.is_string() ? into.turns.find(id.as_string()) : into.turns.end();
      if (found != into.turns.end()) asked.gold.insert(found->second);
    }
    if (!asked.gold.empty()) into.questions.push_back(std::move(asked));
  }
}

Result<double> in_budget(const std::string& recipe, CubeStore& store, Ledger& ledger, const Talk& talk,
                         std::vector<std::string> kinds) {
  const auto recall = TRY(Recall::make(recipe, store, nullptr, ledger));
  double sum = 0;
  for (const Asked& asked : talk.questions) {
    RecallQuery query;
    query.text = asked.text;
    query.space = talk.who.name;
    query.limit = 1000;
    query.token_budget = 1000;
    query.kinds = kinds;
    double found = 0;
    for (const Recalled& one : TRY(recall->gather(talk.who, query)))
      found += asked.gold.contains(one.header.id);
    sum += found / double(asked.gold.size());
  }
  return 100 * sum / double(talk.questions.size());
}

Status run(const std::string& spec, CubeStore& store, Ledger& ledger, const Talk& talk,
           std::vector<Measure>& out) {
  const auto reflector = TRY(reflectors().make(spec));
  int64_t derived = 0;
  {
    const auto recall = TRY(Recall::make("bm25", store, nullptr, ledger));
    PastTurns past(store, talk.who, talk.who.name, {});
    while (auto turn = TRY(past.next()))
      derived += int64_t(TRY(reflect({talk.who, store, *recall}, *reflector, *turn)).size());
  }
  const double alone = TRY(in_budget("bm25", store, ledger, talk, {"turn"}));
  const auto add = [&](const std::string& what, double value) {
    out.push_back({spec + " " + what, value, "%", "bm25, turns alone", alone});
  };
  out.push_back({spec + " operations", double(derived), "", {}, 0});
  add("R@1000, bm25 over all", TRY(in_budget("bm25", store, ledger, talk, {})));
  add("R@1000, bm25+lineage", TRY(in_budget("bm25+lineage", store, ledger, talk, {})));
  add("R@1000, bm25+entropy", TRY(in_budget("bm25+entropy", store, ledger, talk, {})));
  out.push_back({spec + " problems by fsck", double(TRY(store.check()).size()), "", "sound", 0});
  const auto recall = TRY(Recall::make("bm25", store, nullptr, ledger));
  TRY(drop_derived({talk.who, store, *recall}, *reflector, talk.who.name));
  return {};
}

}  // namespace

Result<std::vector<Measure>> derived(const Spec& options) {
  const std::string text = TRY(read_data(options, "data", "../shared/data/locomo/locomo10.json"));
  const Json all = TRY(parse_json(text, {.max_bytes = 64u << 20, .max_items = 4000000}));
  Ledger ledger(int64_t(1) << 30);
  TemporaryStore temporary = TRY(TemporaryStore::open("derived", ledger));
  CubeStore& store = *temporary;
  Talk talk{{"conversation"}, {}, {}};
  const Json& sample = all.as_array().at(0);
  TRY(keep(store, sample["conversation"], talk));
  read_questions(sample["qa"], talk);
  std::vector<Measure> out;
  for (const char* spec : {"amem", "memgas", "gmemory", "memorybank", "mem1"})
    TRY(run(spec, store, ledger, talk, out));
  return out;
}

}  // namespace varve::eval

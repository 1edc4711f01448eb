// Mem0 (Chhikara et al. 2025, "Building Production-Ready AI Agents with Scalable Long-Term Memory"): facts
// are extracted from the newest exchange, then each is compared with similar known facts: new, an update, or
// known. Differences: nothing is ever deleted (an update supersedes, and erasing it gives the old fact back),
// the date is the turn's, and the second question is only asked when something similar is known. Costs one or
// two answers of the Writer a turn.
#include <algorithm>
#include <set>

#include "core/format/json.h"
#include "memory/recall/present.h"
#include "memory/reflect/derive.h"
#include "memory/reflect/fact_questions.h"
#include "memory/reflect/reflector.h"
#include "memory/reflect/shared/unfinished.h"

namespace varve::reflector {
namespace {

constexpr int32_t kSearched = 50;  // hits a fact; turns are among them, and only facts are compared

struct Options {
  int facts = 8;    // at most, from one exchange
  int known = 10;   // known facts shown beside them
  int answers = 1;  // read what the assistant said, too
};

struct Decision {
  enum class Action { add, update, keep } action = Action::add;
  size_t target = 0;  // of update: which known fact
};

Status wrong(std::string_view what) {
  return Status(Code::invalid, "the writer's answer is not used: " + std::string(what));
}

// The list called `name`, which is all that an answer consists of.
Result<Json::Array> answered(Writer& writer, const Inquiry& question, std::string_view name) {
  std::string text = TRY(writer.write(prompt_of(question), question.shape.dump(), question.max_tokens));
  if (trimmed(text).empty()) return Json::Array();
  text = finished(text, question.shape).value_or(std::move(text));
  auto json = parse_json(text, {.max_bytes = 64 << 10, .max_depth = 8, .max_items = 1000});
  if (!json.ok()) return wrong(std::move(json).status().message());
  if (!(*json)[name].is_array()) return wrong("it lacks a list of " + std::string(name));
  return (*json)[name].as_array();
}

class Mem0 : public Reflector {
 public:
  explicit Mem0(const Options& options) : options_(options) {}

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    const std::vector<Source> from = evidence(turn);
    if (writer == nullptr || from.empty()) return std::vector<MemoryOp>();
    const std::vector<std::string> facts = TRY(extract(turn, *writer));
    if (facts.empty()) return std::vector<MemoryOp>();
    const std::vector<Recalled> similar = TRY(similar_facts(who, turn, known.recall, facts));
    std::vector<Decision> decisions(facts.size());
    if (!similar.empty()) decisions = TRY(decide(facts, similar, *writer));
    std::vector<MemoryOp> ops;
    for (size_t i = 0; i < facts.size(); ++i) {
      if (decisions[i].action == Decision::Action::keep) continue;
      MemoryOp op = addition(turn, facts[i], from);
      if (decisions[i].action == Decision::Action::update) {
        const CubeHeader& old = similar[decisions[i].target].header;
        if (old.event.value_or(old.recorded) > turn.time)
          continue;  // what was said earlier does not replace it
        op.draft.header.supersedes = {old.id};
      }
      ops.push_back(std::move(op));
    }
    return ops;
  }

  std::vector<std::string> kinds() const override { return {"fact"}; }

 private:
  // What the Writer is shown, and so what a fact may come from.
  std::vector<Source> evidence(const Turn& turn) const {
    std::vector<Source> from;
    if (turn.user_cube) from.push_back({*turn.user_cube, 1});
    if (turn.assistant_cube && options_.answers) from.push_back({*turn.assistant_cube, 1});
    return from;
  }

  Result<std::vector<std::string>> extract(const Turn& turn, Writer& writer) const {
    Turn shown = turn;
    if (!options_.answers) shown.assistant.clear();
    if (words_of(shown).empty()) return std::vector<std::string>();
    const Json::Array list =
        TRY(answered(writer, facts_question(exchange_of(shown), options_.facts), "facts"));
    if (list.size() > size_t(options_.facts)) return wrong("it has too many facts");
    std::vector<std::string> facts;
    for (const Json& one : list) {
      if (!one.is_string()) return wrong("a fact is no text");
      const std::string fact = trimmed(one.as_string());
      if (!check_text("a fact", fact, kMaxFactBytes).ok())
        return wrong("a fact is too long or no plain text");
      if (!fact.empty() && !echo(turn, fact) && std::find(facts.begin(), facts.end(), fact) == facts.end()) {
        facts.push_back(fact);
      }
    }
    return facts;
  }

  // Recalled words that come back in an answer are not new.
  static bool echo(const Turn& turn, std::string_view fact) {
    return is_recalled_text(fact) ||
           std::any_of(turn.recalled.begin(), turn.recalled.end(),
                       [&](const Recalled& one) { return trimmed(one.text) == fact; });
  }

  Result<std::vector<Recalled>> similar_facts(const Principal& who, const Turn& turn, const Recall& known,
                                              const std::vector<std::string>& facts) const {
    std::vector<Recalled> similar;
    std::set<CubeId> seen;
    const std::string& space = turn.space.empty() ? who.name : turn.space;
    for (const std::string& fact : facts) {
      for (Recalled& one : TRY(known.gather(who, {.text = fact, .space = space, .limit = kSearched}))) {
        if (int(similar.size()) >= options_.known) return similar;
        const bool comparable = one.header.kind == "fact" && one.header.space == space;
        if (comparable && seen.insert(one.header.id).second) similar.push_back(std::move(one));
      }
    }
    return similar;
  }

  Result<std::vector<Decision>> decide(const std::vector<std::string>& facts,
                                       const std::vector<Recalled>& similar, Writer& writer) const {
    std::vector<std::string> known;
    for (const Recalled& one : similar) known.push_back(one.text);
    return read(TRY(answered(writer, decisions_question(facts, known), "decisions")), facts.size(),
                similar.size());
  }

  // One decision for every fact, and no known fact updated twice; or nothing at all.
  static Result<std::vector<Decision>> read(const Json::Array& list, size_t facts, size_t similar) {
    std::vector<Decision> decisions(facts);
    std::set<int64_t> decided, targets;
    for (const Json& one : list) {
      const Json &fact = one["fact"], &action = one["action"], &target = one["target"];
      if (!fact.is_int() || !action.is_string()) return wrong("a decision lacks its fact or action");
      const int64_t at = fact.as_int();
      if (at < 0 || at >= int64_t(facts) || !decided.insert(at).second)
        return wrong("a decision is on no new fact");
      Decision& decision = decisions[size_t(at)];
      if (action.as_string() == "keep") {
        decision.action = Decision::Action::keep;
      } else if (action.as_string() == "update") {
        const bool known = target.is_int() && target.as_int() >= 0 && target.as_int() < int64_t(similar);
        if (!known || !targets.insert(target.as_int()).second) return wrong("an update is of no known fact");
        decision = {.action = Decision::Action::update, .target = size_t(target.as_int())};
      } else if (action.as_string() != "add") {
        return wrong("an action is none of add, update, keep");
      }
    }
    if (decided.size() != facts) return wrong("a fact has no decision");
    return decisions;
  }

  MemoryOp addition(const Turn& turn, const std::string& fact, const std::vector<Source>& from) const {
    MemoryOp op;
    CubeHeader& h = op.draft.header;
    h.kind = "fact";
    h.space = turn.space;
    h.session = turn.session;
    h.turn = turn.index;
    h.event = turn.time;
    h.from = from;
    h.trust = Trust::model;
    op.draft.payload = fact;
    op.why = "mem0: from turn " + std::to_string(turn.index) + " of session " + turn.session;
    return op;
  }

  const Options options_;
};

}  // namespace

Made mem0(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("facts", options.facts, 1, 32)
          .read("known", options.known, 0, 50)
          .read("answers", options.answers, 0, 1)
          .done());
  return std::unique_ptr<Reflector>(new Mem0(options));
}

}  // namespace varve::reflector

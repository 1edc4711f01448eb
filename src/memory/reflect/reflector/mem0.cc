// Mem0 (Chhikara et al. 2025, "Building Production-Ready AI Agents with Scalable Long-Term Memory"): facts
// are extracted from the newest exchange, then each is compared with similar known facts: new, an update, or
// known. Differences: nothing is ever deleted (an update supersedes, and erasing it gives the old fact back),
// the date is the turn's, and the second question is only asked when something similar is known. Costs one or
// two answers of the Writer a turn.
#include <algorithm>
#include <set>

#include "core/format/json.h"
#include "memory/recall/present.h"
#include "memory/reflect/reflector.h"

namespace varve::reflector {
namespace {

constexpr size_t kMaxFactBytes = 500;
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

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
  return begin == text.npos ? "" : std::string(text.substr(begin, end - begin + 1));
}

Status wrong(std::string_view what) {
  return Status(Code::invalid, "the writer's answer is not used: " + std::string(what));
}

Json schema(std::string_view name, Json item, int most) {
  Json list = Json::object().set("type", "array").set("maxItems", most).set("items", std::move(item));
  return Json::object()
      .set("type", "object")
      .set("properties", Json::object().set(name, std::move(list)))
      .set("required", Json::array().push(name))
      .set("additionalProperties", false);
}

Json integer() {
  return Json::object().set("type", "integer");
}

// The list called `name`, which is all that an answer consists of.
Result<Json::Array> answered(Writer& writer, const std::string& prompt, std::string_view name,
                             const Json& shape, int max_tokens) {
  const std::string text = TRY(writer.write(prompt, shape.dump(), max_tokens));
  if (trimmed(text).empty()) return Json::Array();
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
    const std::string user = trimmed(strip_recalled(turn.user));
    const std::string assistant = options_.answers ? trimmed(strip_recalled(turn.assistant)) : "";
    if (user.empty() && assistant.empty()) return std::vector<std::string>();
    Json exchange = Json::object().set("date", format_time(turn.time).substr(0, 10)).set(turn.speaker, user);
    if (!assistant.empty()) exchange.set("assistant", assistant);
    const std::string prompt =
        "This is one exchange of a conversation, as JSON. List what it says that will still matter in a "
        "month: about "
        "the people in it, their life, plans, wishes, health, work, family and things. One short sentence a "
        "fact. "
        "Call the user 'the user', and others by name. Write dates instead of words like 'yesterday'. List "
        "only what "
        "was said, nothing guessed, no questions, no small talk, no instructions. Often the list is "
        "empty.\n" +
        exchange.dump() + "\nAnswer as JSON: {\"facts\": [\"...\"]}\n";
    const Json shape =
        schema("facts", Json::object().set("type", "string").set("maxLength", int64_t(kMaxFactBytes / 2)),
               options_.facts);
    const Json::Array list = TRY(answered(writer, prompt, "facts", shape, 64 + 64 * options_.facts));
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
    Json fresh = Json::array(), known = Json::array();
    for (size_t i = 0; i < facts.size(); ++i)
      fresh.push(Json::object().set("fact", int64_t(i)).set("text", facts[i]));
    for (size_t i = 0; i < similar.size(); ++i) {
      known.push(
          Json::object().set("target", int64_t(i)).set("text", similar[i].text.substr(0, kMaxFactBytes)));
    }
    const std::string prompt =
        "These are new facts and known facts, as JSON. Decide for every new fact: 'keep' when a known fact "
        "says the "
        "same; 'update' when it makes a known fact untrue or more exact, with that one as target; else "
        "'add', with "
        "target -1.\n" +
        Json::object().set("new", std::move(fresh)).set("known", std::move(known)).dump() +
        "\nAnswer as JSON: {\"decisions\": [{\"fact\": 0, \"action\": \"add\", \"target\": -1}]}\n";
    const Json actions = Json::object().set("enum", Json::array().push("add").push("update").push("keep"));
    Json item =
        Json::object()
            .set("type", "object")
            .set("properties",
                 Json::object().set("fact", integer()).set("action", actions).set("target", integer()))
            .set("required", Json::array().push("fact").push("action").push("target"))
            .set("additionalProperties", false);
    const int most = int(facts.size());
    return read(TRY(answered(writer, prompt, "decisions", schema("decisions", std::move(item), most),
                             32 + 32 * most)),
                facts.size(), similar.size());
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

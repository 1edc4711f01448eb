#include "memory/reflect/fact_questions.h"

#include "memory/reflect/overlap.h"

namespace varve {
namespace {

constexpr size_t kBeside = 2;  // known facts a new one: what it meets is most like it, or next to that

}  // namespace

Inquiry facts_question(Json exchange, int most) {
  return {
      .words =
          "This is one exchange of a conversation, as JSON. List what it says that will still matter in a "
          "month: about the people in it, their life, plans, wishes, health, work, family and things. One "
          "short sentence a fact. Call the user 'the user', and others by name. Write dates instead of words "
          "like 'yesterday'. List only what was said, nothing guessed, no questions, no small talk, no "
          "instructions. Often the list is empty.",
      .material = std::move(exchange),
      .example = "{\"facts\": [\"...\"]}",
      .shape = answer::record({{"facts", answer::list(answer::text(int64_t(kMaxFactBytes / 2)), most)}}),
      .max_tokens = 64 + 64 * most};
}

Inquiry decisions_question(const std::vector<std::string>& facts, const std::vector<std::string>& known) {
  const std::vector<std::vector<size_t>> beside = most_alike(facts, known, kBeside);
  Json fresh = Json::array();
  for (size_t i = 0; i < facts.size(); ++i) {
    Json old = Json::array();
    for (const size_t target : beside[i])
      old.push(
          Json::object().set("target", int64_t(target)).set("text", known[target].substr(0, kMaxFactBytes)));
    fresh.push(Json::object().set("fact", int64_t(i)).set("text", facts[i]).set("known", std::move(old)));
  }
  const Json index = Json::object().set("type", "integer");
  Json decision = answer::record(
      {{"fact", index}, {"target", index}, {"action", answer::choice({"add", "update", "keep"})}});
  const int most = int(facts.size());
  return {
      .words =
          "These are new facts as JSON, each with the known ones most like it. Name for every new fact the "
          "known one that it meets as target, and decide: 'keep' when that one says the same; 'update' when "
          "the new one makes it untrue or more exact; when it meets none, target -1 and 'add'.",
      .material = Json::object().set("new", std::move(fresh)),
      .example = "{\"decisions\": [{\"fact\": 0, \"target\": -1, \"action\": \"add\"}]}",
      .shape = answer::record({{"decisions", answer::list(std::move(decision), most)}}),
      .max_tokens = 32 + 32 * most};
}

}  // namespace varve

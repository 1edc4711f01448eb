#include "serve/home/govern.h"

#include <algorithm>
#include <array>

#include "memory/plaintext/diff.h"
#include "serve/home/fields.h"
#include "serve/home/show.h"

namespace varve {
namespace {

constexpr double kDayMs = 86'400'000, kMostDays = 1e6;

Result<std::string> words_of(const CubeStore& cubes, const Principal& who, const CubeHeader& header) {
  if (header.life == Life::erased || header.form != Form::plaintext) return std::string();
  return cubes.payload(who, header.id, header.version);
}

Status read_screen(const Json& body, std::string_view key, Screen& out) {
  std::string text;
  TRY(Fields(body).text(key, text, 16).done());
  if (!text.empty()) out = TRY(parse_screen(text).with("reading '" + std::string(key) + "'"));
  return {};
}

}  // namespace

Result<uint8_t> parse_rights(std::string_view role) {
  constexpr std::array<std::pair<std::string_view, uint8_t>, 4> kRoles{{{"none", 0},
                                                                        {"reader", uint8_t(Right::read)},
                                                                        {"writer", uint8_t(Right::write)},
                                                                        {"admin", uint8_t(Right::admin)}}};
  for (const auto& [name, rights] : kRoles) {
    if (role == name) return rights;
  }
  return Status(Code::invalid, "a role is reader, writer, admin or none");
}

Json space_json(const Space& space) {
  const SpaceRules& rules = space.rules;
  Json out =
      Json::object().set("space", space.name).set("owner", space.owner).set("role", role(space.rights));
  out.set("cubes", space.cubes).set("active_bytes", space.active_bytes).set("cap_bytes", rules.cap_bytes);
  out.set("evicted", rules.drop ? "dropped" : "archived").set("evidence_evicted", rules.evidence);
  out.set("half_life_days", double(rules.half_life_ms) / kDayMs);
  return out.set("secrets", to_string(rules.secrets)).set("personal", to_string(rules.personal));
}

Result<Json> grants_json(Governance& govern, const Principal& who, const std::string& space) {
  Json grants = Json::array();
  for (const Grant& one : TRY(govern.grants(who, space)))
    grants.push(Json::object().set("principal", one.principal).set("role", role(one.rights)));
  return grants;
}

Status read_rules(const Json& body, SpaceRules& rules) {
  std::string evicted;
  TRY(Fields(body).text("evicted", evicted, 16).boolean("evidence_evicted", rules.evidence).done());
  if (!evicted.empty() && evicted != "archived" && evicted != "dropped")
    return Status(Code::invalid, "'evicted' is archived, or dropped: then the words are gone for good");
  if (!evicted.empty()) rules.drop = evicted == "dropped";
  if (const Json& cap = body["cap_bytes"]; !cap.is_null()) {
    if (!cap.is_int() || cap.as_int() < 0)
      return Status(Code::invalid, "'cap_bytes' must be a whole number; 0 is no cap");
    rules.cap_bytes = cap.as_int();
  }
  if (const Json& days = body["half_life_days"]; !days.is_null()) {
    if (!days.is_number() || !(days.as_double() >= 0 && days.as_double() <= kMostDays))
      return Status(Code::invalid, "'half_life_days' must be a number from 0 (no decay) to a million");
    rules.half_life_ms = int64_t(days.as_double() * kDayMs);
  }
  TRY(read_screen(body, "secrets", rules.secrets));
  return read_screen(body, "personal", rules.personal);
}

Result<Json> diff_json(const CubeStore& cubes, const Principal& who, CubeId id, uint32_t from, uint32_t to) {
  const CubeHeader newer = TRY(cubes.head(who, id, to));
  const CubeHeader older = TRY(cubes.head(who, id, from != 0 ? from : std::max(newer.version, 2u) - 1));
  const std::string before = TRY(words_of(cubes, who, older)), after = TRY(words_of(cubes, who, newer));
  constexpr std::string_view kKinds[] = {"same", "removed", "added"};
  Json parts = Json::array();
  for (const DiffPart& part : diff_texts(before, after))
    parts.push(Json::object().set("kind", kKinds[size_t(part.kind)]).set("text", part.text));
  Json out = Json::object().set("id", id.text());
  out.set("from", int64_t(older.version)).set("to", int64_t(newer.version)).set("why", newer.why);
  return out.set("parts", std::move(parts));
}

Json entry_json(const JournalEntry& one) {
  const std::string who = one.agent.empty() ? one.principal : one.agent + " for " + one.principal;
  Json json = Json::object().set("entry", one.sequence).set("time", format_time(one.time)).set("who", who);
  json.set("action", one.action).set("space", one.space);
  json.set("cube", one.cube == CubeId{} ? "" : one.cube.text()).set("version", int64_t(one.version));
  return json.set("detail", one.detail).set("hash", one.hash.hex());
}

Result<Json> conflicts_json(CubeStore& cubes, const Principal& who, const std::string& space, bool all) {
  Json list = Json::array();
  for (const Conflict& one : TRY(cubes.governance().conflicts(who, space, all))) {
    Json pair = Json::object();
    pair.set("newer", TRY(memory_json(cubes, who, TRY(cubes.head(who, one.newer)))));
    pair.set("older", TRY(memory_json(cubes, who, TRY(cubes.head(who, one.older)))));
    list.push(pair.set("closed", one.closed).set("open", one.open));
  }
  return list;
}

}  // namespace varve

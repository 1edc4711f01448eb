// varve space, conflicts, audit: who may do what where, what contradicts, what was done.
#include <charconv>
#include <ostream>

#include "memory/cube/governance.h"
#include "serve/cli/builtin.h"
#include "serve/cli/memory.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/govern.h"

namespace varve {
namespace {

constexpr int64_t kDayMs = 86'400'000;

// "a:b" is a space; a plain name of no one known, and ":b", is one of the caller's own.
std::string space_of(const Opened& opened, const std::string& name) {
  return name.starts_with(':') ? opened.who.name + name : name;
}

Result<int> said(const Opened& opened, Console& console, const Json& json, const std::string& words) {
  console.out << (opened.json ? json.dump() : words) << "\n";
  return 0;
}

Result<int> list(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 0, 0, "no more words"));
  Json all = Json::array();
  for (const Space& space : TRY(opened.home->cubes().governance().spaces(opened.who))) {
    all.push(space_json(space));
    if (opened.json) continue;
    console.out << space.name << "  " << (space.owner == opened.who.name ? "owner" : role(space.rights))
                << "  " << space.cubes << " memories, " << format_bytes(space.active_bytes);
    if (space.rules.cap_bytes > 0) console.out << " of " << format_bytes(space.rules.cap_bytes);
    console.out << "\n";
  }
  if (opened.json) console.out << all.dump() << "\n";
  return 0;
}

Result<int> create(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 1, 1, "a name for the space"));
  const std::string& name = opened.words[0];
  const std::string space =
      name.find(':') == std::string::npos ? opened.who.name + ":" + name : space_of(opened, name);
  Governance& govern = opened.home->cubes().governance();
  TRY(govern.set_rules(opened.who, space, TRY(govern.rules(opened.who, space))));
  return said(opened, console, Json::object().set("space", space), "The space is named " + space + ".");
}

Result<int> show(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 1, 1, "a space"));
  const std::string name = space_of(opened, opened.words[0]);
  Governance& govern = opened.home->cubes().governance();
  const Json grants = TRY(grants_json(govern, opened.who, name));
  Json shown;
  for (const Space& space : TRY(govern.spaces(opened.who))) {
    if (space.name == name) shown = space_json(space).set("grants", grants);
  }
  if (opened.json) return said(opened, console, shown, "");
  for (const auto& [key, value] : shown.as_object()) {
    if (key != "grants")
      console.out << key << ": " << (value.is_string() ? value.as_string() : value.dump()) << "\n";
  }
  for (const Json& one : grants.as_array())
    console.out << "  " << one["principal"].as_string() << "  " << one["role"].as_string() << "\n";
  return 0;
}

Result<int> grant(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 3, 3, "a space, whom, and as what: reader, writer or admin"));
  const std::string space = space_of(opened, opened.words[0]);
  TRY(opened.home->cubes().grant(opened.who, space, opened.words[1], TRY(parse_rights(opened.words[2]))));
  return said(opened, console, Json::object().set("granted", space),
              opened.words[1] + " is " + opened.words[2] + " of " + space + " now.");
}

Result<int> revoke(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 2, 2, "a space, and from whom"));
  const std::string space = space_of(opened, opened.words[0]);
  TRY(opened.home->cubes().grant(opened.who, space, opened.words[1], 0));
  return said(opened, console, Json::object().set("revoked", space),
              opened.words[1] + " has no right in " + space + " any more.");
}

Result<int> lend(Args& args, Console& console) {
  const Opened opened =
      TRY(open_for(args, 1, 2, "an agent, and as what it acts: reader, writer, admin; none takes it back"));
  const uint8_t rights = TRY(parse_rights(opened.words.size() == 1 ? "none" : opened.words[1]));
  TRY(opened.home->cubes().governance().lend(opened.who, opened.words[0], rights));
  return said(
      opened, console, Json::object().set("agent", opened.words[0]).set("role", role(rights)),
      opened.words[0] + " acts for " + opened.who.name + " as " + std::string(role(rights)) + " now.");
}

// One verb for all rules: what is not said stays.
Result<int> rules(Args& args, Console& console) {
  const auto cap = TRY(args.value("--cap")), secrets = TRY(args.value("--secrets")),
             personal = TRY(args.value("--personal")), evicted = TRY(args.value("--evict"));
  double half_life_days = -1;
  TRY(args.number<double>("--half-life-days", half_life_days, 0, 1e6));
  const bool evidence = args.flag("--evidence-too"), keep = args.flag("--evidence-stays");
  const Opened opened = TRY(open_for(args, 1, 1, "a space"));
  const std::string space = space_of(opened, opened.words[0]);
  Governance& govern = opened.home->cubes().governance();
  SpaceRules set = TRY(govern.rules(opened.who, space));
  if (cap) set.cap_bytes = *cap == "none" ? 0 : TRY(parse_bytes(*cap));
  if (secrets) set.secrets = TRY(parse_screen(*secrets));
  if (personal) set.personal = TRY(parse_screen(*personal));
  if (evicted && *evicted != "archive" && *evicted != "drop")
    return Status(Code::invalid,
                  "what is evicted is kept in the archive, or its words are dropped: archive or drop");
  if (evicted) set.drop = *evicted == "drop";
  if (half_life_days >= 0) set.half_life_ms = int64_t(half_life_days * double(kDayMs));
  if (evidence || keep) set.evidence = evidence;
  TRY(govern.set_rules(opened.who, space, set));
  return said(opened, console, Json::object().set("space", space), "The rules of " + space + " are set.");
}

Result<int> tend(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 0, 1, "a space; default your own"));
  const std::string space = opened.words.empty() ? opened.who.name : space_of(opened, opened.words[0]);
  Tended all;
  for (Tended one{.archived = 1}; one.archived > 0;) {
    one = TRY(opened.home->cubes().governance().tend(opened.who, space));
    all.expired += one.expired, all.archived += one.archived, all.dropped += one.dropped;
    all.active_bytes = one.active_bytes;
  }
  Json json =
      Json::object().set("expired", all.expired).set("archived", all.archived).set("dropped", all.dropped);
  return said(opened, console, json.set("active_bytes", all.active_bytes),
              std::to_string(all.expired) + " expired, " + std::to_string(all.archived) +
                  " archived, of them " + std::to_string(all.dropped) + " dropped; " +
                  format_bytes(all.active_bytes) + " are active.");
}

struct Verb {
  std::string_view name;
  Result<int> (*run)(Args& args, Console& console);
};
constexpr Verb kVerbs[] = {{"list", list},   {"create", create}, {"show", show},
                           {"grant", grant}, {"revoke", revoke}, {"lend", lend},
                           {"rules", rules}, {"cap", rules},     {"tend", tend}};

}  // namespace

Result<int> run_space(Args& args, Console& console) {
  std::vector<std::string> words = args.everything();
  const std::string name = words.empty() ? "" : words[0];
  if (name == "cap" && words.size() > 2) words.insert(words.begin() + 2, "--cap");  // cap SPACE SIZE
  for (const Verb& verb : kVerbs) {
    if (verb.name != name) continue;
    Args more(std::span<const std::string>(words).subspan(1));
    return verb.run(more, console);
  }
  return Status(Code::invalid,
                "say what to do with spaces: list, create, show, grant, revoke, lend, rules, cap or tend");
}

Result<int> run_conflicts(Args& args, Console& console) {
  const auto verdict = TRY(args.value("--settle"));
  const std::string space = TRY(args.value("--space")).value_or("");
  const bool every = args.flag("--all");
  const Opened opened = TRY(open_for(args, verdict ? 2 : 0, verdict ? 2 : 0,
                                     "with --settle newer|older|both: the ids of the newer and the older"));
  CubeStore& cubes = opened.home->cubes();
  if (verdict) {
    TRY(cubes.governance().settle(opened.who, TRY(CubeId::parse(opened.words[0])),
                                  TRY(CubeId::parse(opened.words[1])), TRY(parse_verdict(*verdict)),
                                  "settled by " + opened.who.name));
    return said(opened, console, Json::object().set("settled", *verdict), "Settled: " + *verdict + ".");
  }
  Json all = Json::array();
  for (const Conflict& one : TRY(cubes.governance().conflicts(opened.who, space_of(opened, space), every))) {
    all.push(Json::object()
                 .set("newer", one.newer.text())
                 .set("older", one.older.text())
                 .set("closed", one.closed)
                 .set("open", one.open));
    if (opened.json) continue;
    for (const CubeId& id : {one.newer, one.older}) {
      const CubeHeader header = TRY(cubes.head(opened.who, id));
      console.out << (id == one.newer ? "newer  " : "older  ")
                  << one_line(header, TRY(cubes.payload(opened.who, id))) << "\n";
    }
    console.out << (one.closed ? "  the newer holds; the older is closed\n\n"
                               : "  both stand: the newer is believed less\n\n");
  }
  if (opened.json) {
    console.out << all.dump() << "\n";
  } else if (all.size() == 0) {
    console.out << "Nothing contradicts.\n";
  }
  return 0;
}

Result<int> run_audit(Args& args, Console& console) {
  AuditQuery query{.limit = 1000};
  query.space = TRY(args.value("--space")).value_or("");
  TRY(args.number<int64_t>("--after", query.after, 0, INT64_MAX));
  TRY(args.number<int32_t>("--limit", query.limit, 1, 10000));
  const Opened opened = TRY(open_for(args, 0, 0, "no more words"));
  query.space = space_of(opened, query.space);
  Json all = Json::array();
  for (const JournalEntry& one : TRY(opened.home->cubes().governance().audit(opened.who, query))) {
    const std::string who = one.agent.empty() ? one.principal : one.agent + " for " + one.principal;
    all.push(entry_json(one));
    if (opened.json) continue;
    console.out << one.sequence << "  " << format_time(one.time) << "  " << who << "  " << one.action << "  "
                << one.space << "  "
                << (one.cube == CubeId{} ? "" : one.cube.text() + " v" + std::to_string(one.version))
                << one.detail << "  " << one.hash.hex().substr(0, 12) << "\n";
  }
  if (opened.json) console.out << all.dump() << "\n";
  return 0;
}

}  // namespace varve

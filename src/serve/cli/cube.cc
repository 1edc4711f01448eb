// varve cube: memory cubes one by one. Subcommands are a table.
#include <ostream>

#include "memory/cube/governance.h"
#include "serve/cli/builtin.h"
#include "serve/cli/memory.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/govern.h"
#include "serve/home/show.h"

namespace varve {
namespace {

constexpr int64_t kMaxCubeFile = 1ll << 30;

// Text of a cube that is words; of any other, what it is.
Result<std::string> words_of(const Opened& opened, const CubeHeader& header, uint32_t version) {
  if (header.life == Life::erased) return std::string("[erased]");
  if (header.form != Form::plaintext) return "[" + std::string(to_string(header.form)) + "]";
  return opened.home->cubes().payload(opened.who, header.id, version);
}

Result<std::optional<TimeMs>> date(Args& args, std::string_view name) {
  const auto text = TRY(args.value(name));
  if (!text) return std::optional<TimeMs>();
  return std::optional(TRY(parse_time(*text).with("reading " + std::string(name))));
}

Result<int> list(Args& args, Console& console) {
  CubeFilter filter;
  filter.space = TRY(args.value("--space")).value_or("");
  filter.kind = TRY(args.value("--kind")).value_or("");
  filter.session = TRY(args.value("--session")).value_or("");
  if (args.flag("--all")) filter.life = std::nullopt;
  filter.recorded_at = TRY(date(args, "--as-of"));
  filter.valid_at = TRY(date(args, "--valid-at"));
  TRY(args.number<int32_t>("--limit", filter.limit, 1, 10000));
  if (const auto after = TRY(args.value("--after"))) filter.after = TRY(CubeId::parse(*after));
  const Opened opened = TRY(open_for(args, 0, 0, "no more words"));
  Json all = Json::array();
  for (const CubeHeader& header : TRY(opened.home->cubes().list(opened.who, filter))) {
    if (opened.json) {
      all.push(to_json(header));
    } else {
      console.out << one_line(header, TRY(words_of(opened, header, header.version))) << "\n";
    }
  }
  if (opened.json) console.out << all.dump() << "\n";
  return 0;
}

Result<int> show(Args& args, Console& console) {
  uint32_t version = 0;
  TRY(args.number<uint32_t>("--version", version, 1, UINT32_MAX));
  const auto as_of = TRY(date(args, "--as-of"));
  const Opened opened = TRY(open_for(args, 1, 1, "the id of a cube"));
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  CubeStore& cubes = opened.home->cubes();
  const CubeHeader header =
      TRY(as_of ? cubes.governance().as_of(opened.who, id, *as_of) : cubes.head(opened.who, id, version));
  const std::string text = TRY(words_of(opened, header, header.version));
  Json shown = to_json(header);
  if (opened.json) {
    console.out << shown.set("text", text).dump() << "\n";
    return 0;
  }
  for (const auto& [key, value] : shown.as_object()) {
    const std::string words = value.is_string() ? value.as_string() : value.dump();
    if (!words.empty() && words != "[]") console.out << key << ": " << printable(words) << "\n";
  }
  console.out << "\n" << printable(text) << "\n";
  return 0;
}

Result<int> history(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 1, 1, "the id of a cube"));
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  Json versions = Json::array(), events = Json::array();
  for (const CubeHeader& header : TRY(opened.home->cubes().history(opened.who, id)))
    versions.push(to_json(header));
  for (const JournalEntry& entry : TRY(opened.home->cubes().journal(opened.who, id))) {
    Json one = Json::object();
    one.set("time", format_time(entry.time)).set("principal", entry.principal).set("action", entry.action);
    events.push(std::move(one.set("version", int64_t(entry.version)).set("why", entry.why)));
  }
  if (opened.json) {
    console.out << Json::object().set("versions", versions).set("journal", events).dump() << "\n";
    return 0;
  }
  for (const Json& one : events.as_array()) {
    console.out << one["time"].as_string() << "  " << one["action"].as_string() << "  version "
                << one["version"].as_int() << "  by " << one["principal"].as_string() << "  "
                << printable(one["why"].as_string()) << "\n";
  }
  return 0;
}

Result<int> diff(Args& args, Console& console) {
  uint32_t from = 0, to = 0;
  TRY(args.number<uint32_t>("--from", from, 1, UINT32_MAX));
  TRY(args.number<uint32_t>("--to", to, 1, UINT32_MAX));
  const Opened opened = TRY(open_for(args, 1, 1, "the id of a cube"));
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  const Json found = TRY(diff_json(opened.home->cubes(), opened.who, id, from, to));
  if (opened.json) {
    console.out << found.dump() << "\n";
    return 0;
  }
  std::string shown;
  for (const Json& part : found["parts"].as_array()) {
    const std::string &kind = part["kind"].as_string(), &text = part["text"].as_string();
    shown += kind == "same" ? text : kind == "removed" ? "[-" + text + "-]" : "{+" + text + "+}";
  }
  console.out << "version " << found["from"].as_int() << " to " << found["to"].as_int() << ", by "
              << found["why"].as_string() << "\n"
              << printable(shown) << "\n";
  return 0;
}

// Of a version that is stale: the error, and what is there now.
Result<int> versioned(const Opened& opened, Console& console, CubeId id, Result<uint32_t> made) {
  if (made.code() == Code::conflict) {
    const CubeHeader now = TRY(opened.home->cubes().head(opened.who, id));
    console.err << "Now, version " << now.version << ": " << printable(TRY(words_of(opened, now, 0))) << "\n";
  }
  const uint32_t version = TRY(std::move(made));
  console.out << (opened.json ? Json::object().set("id", id.text()).set("version", int64_t(version)).dump()
                              : "Version " + std::to_string(version) + " of " + id.text() + ".")
              << "\n";
  return 0;
}

Result<int> revise(Args& args, Console& console) {
  uint32_t base = 0;
  TRY(args.number<uint32_t>("--base", base, 1, UINT32_MAX));
  const Opened opened = TRY(open_for(args, 2, 10000, "the id of a cube, and its new words"));
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  CubeDraft draft;
  draft.header = TRY(opened.home->cubes().head(opened.who, id));
  draft.header.supersedes.clear();
  draft.header.contradicts.clear();
  draft.payload = joined({opened.words.begin() + 1, opened.words.end()});
  return versioned(opened, console, id,
                   opened.home->cubes().revise(opened.who, id, base, std::move(draft), "the user's words"));
}

Result<int> restore(Args& args, Console& console) {
  uint32_t version = 0, base = 0;
  TRY(args.number<uint32_t>("--version", version, 1, UINT32_MAX));
  TRY(args.number<uint32_t>("--base", base, 1, UINT32_MAX));
  const Opened opened = TRY(open_for(args, 1, 1, "the id of a cube"));
  if (version == 0) return Status(Code::invalid, "say which version comes back: --version N");
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  return versioned(opened, console, id,
                   opened.home->cubes().governance().restore(opened.who, id, version, base, ""));
}

Result<int> export_one(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 1, 2, "the id of a cube, and a file to write (else ID.cube)"));
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  const std::string path = opened.words.size() > 1 ? opened.words[1] : id.text() + ".cube";
  if (TRY(posix_env().exists(path)))
    return Status(Code::exists, path + " is there already; name another file");
  const std::string file = TRY(opened.home->cubes().export_cube(opened.who, id));
  TRY(write_file(posix_env(), path, std::as_bytes(std::span(file))));
  console.out << (opened.json ? Json::object().set("file", path).dump() : "Wrote " + path + ".") << "\n";
  return 0;
}

Result<int> import_one(Args& args, Console& console) {
  const std::string space = TRY(args.value("--space")).value_or("");
  const Opened opened = TRY(open_for(args, 1, 1, "a .cube file"));
  const std::vector<std::byte> bytes = TRY(read_file(posix_env(), opened.words[0], kMaxCubeFile));
  const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const CubeId id = TRY(opened.home->cubes()
                            .import_cube(opened.who, file, space.empty() ? opened.who.name : space)
                            .with("importing " + opened.words[0]));
  console.out << (opened.json ? Json::object().set("id", id.text()).dump() : "Imported as " + id.text() + ".")
              << "\n";
  return 0;
}

struct Verb {
  std::string_view name;
  Result<int> (*run)(Args& args, Console& console);
};
constexpr Verb kVerbs[] = {{"list", list},         {"show", show},        {"history", history},
                           {"diff", diff},         {"revise", revise},    {"restore", restore},
                           {"export", export_one}, {"import", import_one}};

}  // namespace

Result<int> run_cube(Args& args, Console& console) {
  std::vector<std::string> words = args.everything();
  const std::string name = words.empty() ? "" : words[0];
  for (const Verb& verb : kVerbs) {
    if (verb.name != name) continue;
    Args more(std::span<const std::string>(words).subspan(1));
    return verb.run(more, console);
  }
  return Status(Code::invalid,
                "say what to do with cubes: list, show, history, diff, revise, restore, export or import");
}

}  // namespace varve

// varve cube: memory cubes one by one. Subcommands are a table.
#include <cstdio>
#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/memory.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
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

Result<int> list(Args& args, Console& console) {
  CubeFilter filter;
  filter.space = TRY(args.value("--space")).value_or("");
  filter.kind = TRY(args.value("--kind")).value_or("");
  filter.session = TRY(args.value("--session")).value_or("");
  if (args.flag("--all")) filter.life = std::nullopt;
  TRY(args.number<int32_t>("--limit", filter.limit, 1, 10000));
  if (const auto after = TRY(args.value("--after"))) filter.after = TRY(CubeId::parse(*after));
  const Opened opened = TRY(open_for(args, 0, 0, "no more words"));
  Json all = Json::array();
  for (const CubeHeader& header : TRY(opened.home->cubes().list(opened.who, filter))) {
    if (opened.json) {
      all.push(to_json(header));
    } else {
      console.out << one_line(header, TRY(words_of(opened, header, 0))) << "\n";
    }
  }
  if (opened.json) console.out << all.dump() << "\n";
  return 0;
}

Result<int> show(Args& args, Console& console) {
  uint32_t version = 0;
  TRY(args.number<uint32_t>("--version", version, 1, UINT32_MAX));
  const Opened opened = TRY(open_for(args, 1, 1, "the id of a cube"));
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  const CubeHeader header = TRY(opened.home->cubes().head(opened.who, id, version));
  const std::string text = TRY(words_of(opened, header, version));
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
constexpr Verb kVerbs[] = {
    {"list", list}, {"show", show}, {"history", history}, {"export", export_one}, {"import", import_one}};

}  // namespace

Result<int> run_cube(Args& args, Console& console) {
  std::vector<std::string> words = args.everything();
  const std::string name = words.empty() ? "" : words[0];
  for (const Verb& verb : kVerbs) {
    if (verb.name != name) continue;
    Args more(std::span<const std::string>(words).subspan(1));
    return verb.run(more, console);
  }
  return Status(Code::invalid, "say what to do with cubes: list, show, history, export or import");
}

}  // namespace varve

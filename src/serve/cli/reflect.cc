// varve reflect, varve feedback: what is derived from what was said, and whether it was of use.
#include <ostream>

#include "memory/reflect/shared/playbook.h"
#include "serve/cli/builtin.h"
#include "serve/cli/memory.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/kept/past.h"

namespace varve {

Result<int> run_reflect(Args& args, Console& console) {
  PastOptions past;
  if (const auto since = TRY(args.value("--since")))
    past.since = TRY(parse_time(*since).with("reading --since"));
  past.space = TRY(args.value("--space")).value_or("");
  past.rebuild = args.flag("--rebuild");
  const HomeOptions settings = TRY(home_options(args, UseModel::named));
  const Principal who = TRY(principal(args));
  const bool json = args.flag("--json");
  TRY(args.rest(0, 0, "no more words"));
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  const PastCount count = TRY(reflect_on_past(*home, who, past, [&](const PastCount& so_far) {
    if (console.terminal.is_tty())
      console.err << so_far.turns << " turns, " << so_far.stored << " memories derived\n";
    return true;
  }));
  if (json) {
    Json out = Json::object();
    out.set("reflectors", home->options().reflector).set("turns", count.turns).set("stored", count.stored);
    out.set("failed", count.failed).set("erased", count.dropped.erased).set("closed", count.dropped.closed);
    out.set("again", count.again).set("waiting", count.waiting);
    console.out << out.dump() << "\n";
    return 0;
  }
  if (past.rebuild) {
    console.out << count.dropped.erased << " derived memories erased";
    if (count.dropped.closed > 0)
      console.out << ", " << count.dropped.closed << " closed that an answer cites";
    console.out << "\n";
  }
  console.out << count.turns << " turns reflected on with " << home->options().reflector << ": "
              << count.stored << " memories derived";
  if (count.failed > 0) console.out << "; " << count.failed << " turns gave nothing: " << count.trouble;
  console.out << "\n";
  if (count.again > 0)
    console.out << count.again << " derived again of what had gone with something forgotten\n";
  if (count.waiting > 0) {
    console.out << count.waiting << " more wait for "
                << (home->engine() == nullptr ? "a model (--model FILE)" : "the reflectors that made them")
                << "\n";
  }
  return 0;
}

Result<int> run_feedback(Args& args, Console& console) {
  const Opened opened = TRY(open_for(args, 2, 2, "an id, and helped or useless"));
  const CubeId id = TRY(CubeId::parse(opened.words[0]));
  const bool helped = opened.words[1] == "helped";
  if (!helped && opened.words[1] != "useless") return Status(Code::invalid, "say helped or useless");
  TRY(feedback(opened.home->cubes(), opened.who, id, helped));
  const Uses usage = TRY(usage_of(opened.home->cubes(), opened.who, id));
  const CubeHeader header = TRY(opened.home->cubes().head(opened.who, id));
  if (opened.json) {
    Json out = Json::object();
    out.set("used", int64_t(usage.used))
        .set("helped", int64_t(usage.helped))
        .set("life", to_string(header.life));
    console.out << out.dump() << "\n";
  } else {
    console.out << "helped in " << usage.helped << " of " << usage.used << " uses; it is "
                << to_string(header.life) << "\n";
  }
  return 0;
}

}  // namespace varve

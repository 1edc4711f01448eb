// varve capture: attention state of some memories, computed once and kept as an activation cube.
#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/memory.h"
#include "serve/cli/options.h"

namespace varve {
namespace {

// Ids, or what recall finds for words.
Result<std::vector<CubeId>> named(Home& home, const Principal& who, const std::vector<std::string>& words,
                                  bool recalled, int32_t limit) {
  std::vector<CubeId> ids;
  if (!recalled) {
    for (const std::string& word : words) ids.push_back(TRY(CubeId::parse(word)));
    return ids;
  }
  const auto hits = TRY(home.recall().gather(who, {.text = joined(words), .limit = limit}));
  for (const Recalled& one : hits) ids.push_back(one.header.id);
  if (!ids.empty()) return ids;
  return Status(Code::not_found, "nothing that is remembered speaks to that");
}

}  // namespace

Result<int> run_capture(Args& args, Console& console) {
  HomeOptions settings = TRY(home_options(args, UseModel::named));
  const Principal who = TRY(principal(args));
  CaptureOrder order;
  order.title = TRY(args.value("--title")).value_or("");
  order.space = TRY(args.value("--space")).value_or("");
  order.system = TRY(args.value("--system")).value_or("");
  order.fidelity = TRY(parse_fidelity(TRY(args.value("--fidelity")).value_or("exact")));
  int32_t limit = 20;
  TRY(args.number<int32_t>("--limit", limit, 1, 1000));
  const bool recalled = args.flag("--recall"), json = args.flag("--json");
  const auto words = TRY(args.rest(1, 10000, "what to capture: ids, or --recall and words"));
  if (settings.model.empty())
    return Status(Code::invalid, "name the model that is to read them: --model FILE");
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  order.memories = TRY(named(*home, who, words, recalled, limit));
  const CaptureMade made = TRY(capture(home->cubes(), who, *home->engine(), Prompter(home->engine()->model()),
                                       order, home->clock().now_ms()));
  if (json) {
    Json out = Json::object();
    out.set("id", made.cube.text()).set("tokens", made.tokens).set("bytes", made.bytes);
    console.out << out.dump() << "\n";
  } else {
    console.out << "Captured as " << made.cube.text() << ": " << made.tokens << " tokens of "
                << order.memories.size() << (order.memories.size() == 1 ? " memory, " : " memories, ")
                << format_bytes(made.bytes) << ". 'varve chat --activation " << made.cube.text()
                << "' begins with it.\n";
  }
  return 0;
}

}  // namespace varve

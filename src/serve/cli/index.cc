// varve index: what recall holds, and how it opened; rebuild makes all of it anew from the memories.
#include <ostream>

#include "core/base/process.h"
#include "serve/cli/builtin.h"
#include "serve/cli/options.h"

namespace varve {

Json index_report(const RecallState& state) {
  Json out = Json::object(), parts = Json::array();
  out.set("memories", state.memories).set("bytes_in_ram", state.bytes).set("opened", state.opened);
  out.set("within_budget", state.fits).set("on_disk", state.file).set("changes_unsaved", state.unsaved);
  out.set("memories_to_embed", state.to_embed);
  for (const RecallState::Index& one : state.indexes) {
    Json part = Json::object();
    part.set("index", one.spec).set("bytes_in_ram", one.bytes).set("complete", one.complete);
    if (!one.embedder.empty()) part.set("embedder", one.embedder).set("former", one.former);
    parts.push(std::move(part));
  }
  return out.set("parts", std::move(parts));
}

Result<int> run_index(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, UseModel::none));
  const bool json = args.flag("--json");
  const std::vector<std::string> words = TRY(args.rest(0, 1, "'rebuild', or nothing"));
  if (!words.empty() && words[0] != "rebuild") {
    return Status(Code::invalid, "'" + words[0] + "' is nothing that varve index does; 'rebuild' is");
  }
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  if (!words.empty()) TRY(home->recall().rebuild());
  const RecallState state = home->recall().state();
  if (json) {
    console.out << index_report(state).dump() << "\n";
    return 0;
  }
  console.out << state.memories << " memories, " << format_bytes(state.bytes) << " in RAM, " << state.opened
              << (state.file ? "; kept on disk" : "") << "\n";
  for (const RecallState::Index& one : state.indexes) {
    console.out << "  " << one.spec << ": " << format_bytes(one.bytes)
                << (one.embedder.empty() ? "" : ", " + one.embedder)
                << (one.former ? " (until all is embedded anew)" : "")
                << (one.complete ? "" : ", " + std::to_string(state.to_embed) + " memories to embed") << "\n";
  }
  if (!state.fits) console.out << "  more than the budget leaves: raise --budget\n";
  return 0;
}

}  // namespace varve

// varve merge: adapters, files or cubes, worked into the weights of their model.
#include <list>
#include <ostream>

#include "core/base/process.h"
#include "memory/parametric/merge.h"
#include "serve/cli/builtin.h"
#include "serve/cli/learn/remembered.h"
#include "serve/home/settings.h"

namespace varve {

Result<int> run_merge(Args& args, Console& console) {
  constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger
  const std::string model = TRY(args.value("--model")).value_or("");
  std::vector<AdapterChoice> choices;
  for (const std::string& text : TRY(args.values("--adapter"))) {
    for (AdapterChoice& one : TRY(parse_adapters(text))) choices.push_back(std::move(one));
  }
  const HomeWords words = TRY(home_words(args));
  const std::string out = TRY(args.value("-o")).value_or("");
  int64_t budget = machine_bytes() / 2;
  if (const auto text = TRY(args.value("--budget"))) budget = TRY(parse_bytes(*text));
  TRY(args.rest(0, 0, "no more words"));
  if (model.empty() || choices.empty() || out.empty()) {
    return Status(Code::invalid, "name the model, the adapter and the file to write: --model, --adapter, -o");
  }
  if (TRY(posix_env().exists(out))) return Status(Code::exists, out + " is there already; name another file");
  Ledger ledger(budget - kFloor, kFloor);
  const BaseModel base = TRY(look_at_model(posix_env(), model));
  std::list<AdapterFile> files;
  std::vector<MergeShare> shares;
  std::unique_ptr<Home> home;
  for (const AdapterChoice& one : choices) {
    if (is_adapter_file(one.name)) {
      files.push_back(TRY(read_adapter(posix_env(), one.name, base.permuted, ledger)));
    } else {
      if (!home) home = TRY(words.open());
      const CubeHeader header = TRY(find_adapter(home->cubes(), words.who, one.name));
      files.push_back(TRY(load_adapter(home->cubes(), words.who, header, ledger)));
    }
    shares.push_back({files.back(), one.name, one.strength});
  }
  home.reset();
  TRY(merge_adapters(posix_env(), model, shares, out, ledger));
  console.out << "Wrote " << out << "\n";
  return 0;
}

}  // namespace varve

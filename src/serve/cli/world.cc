// varve world: the dialogues that the embedded model learns from and is measured on, one JSON object a line.
#include "learn/world/world.h"

#include <fstream>
#include <ostream>

#include "learn/world/census.h"
#include "serve/cli/builtin.h"

namespace varve {
namespace {

struct WorldOptions {
  uint64_t seed = 1, from = 0, count = 1000;
  world::Split split = world::Split::train;
  std::string kinds, out;
  bool stats = false;
};

Result<WorldOptions> world_options(Args& args) {
  WorldOptions options;
  TRY(args.number("--seed", options.seed, uint64_t(0), uint64_t(1) << 62));
  TRY(args.number("--from", options.from, uint64_t(0), uint64_t(1) << 62));
  TRY(args.number("--count", options.count, uint64_t(1), uint64_t(1) << 40));
  const std::string split = TRY(args.value("--split")).value_or("train");
  if (split != "train" && split != "eval")
    return Status(Code::invalid, "--split is train or eval, not '" + split + "'");
  if (split == "eval") options.split = world::Split::eval;
  options.kinds = TRY(args.value("--kinds")).value_or("");
  options.out = TRY(args.value("-o")).value_or("");
  options.stats = args.flag("--stats");
  TRY(args.rest(0, 0, "no words"));
  return options;
}

}  // namespace

Result<int> run_world(Args& args, Console& console) {
  const WorldOptions options = TRY(world_options(args));
  const world::World source = TRY(world::World::make(options.kinds, options.split, options.seed));
  std::ofstream file;
  if (!options.out.empty()) {
    file.open(options.out, std::ios::binary | std::ios::trunc);
    if (!file) return Status(Code::io, "cannot write " + options.out);
  }
  std::ostream& out = options.out.empty() ? console.out : file;
  world::Census census;
  for (uint64_t index = options.from; out && index < options.from + options.count; ++index) {
    const world::Item item = source.item(index);
    if (options.stats) {
      census.add(item);
    } else {
      out << source.to_json(item, index).dump() << "\n";
    }
  }
  if (options.stats) out << census.report();
  out.flush();
  return out ? Result<int>(0) : Status(Code::io, "writing stopped: the disk is full or the reader left");
}

}  // namespace varve

// varve doctor: machine, kernels, budget arithmetic, disk, and whether the home is sound: the first thing to
// ask for in a report of trouble.
#include <chrono>
#include <fstream>
#include <ostream>
#include <thread>

#include "core/base/process.h"
#include "math/kernel/kernel.h"
#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/home/kept/past.h"

namespace varve {
namespace {

constexpr size_t kProbeBytes = 32 << 20;

std::string processor_name() {
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

// MB/s of writing and syncing one file in the home.
Result<double> disk_speed(const std::string& folder) {
  const std::string path = folder + "/disk-probe";
  const std::vector<std::byte> bytes(kProbeBytes, std::byte(0x5A));
  const auto begin = std::chrono::steady_clock::now();
  TRY(write_file(posix_env(), path, bytes));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  TRY(posix_env().remove(path));
  return double(kProbeBytes) / 1e6 / took.count();
}

Json machine() {
  Json out = Json::object();
  out.set("processor", processor_name()).set("cores", int64_t(std::thread::hardware_concurrency()));
  return out.set("memory_bytes", machine_bytes()).set("kernels", kernels().isa);
}

Result<Json> model(Home& home) {
  Engine* engine = home.engine();
  if (engine == nullptr) return Json();
  const Model& model = engine->model();
  const ModelShape& shape = model.shape();
  const KvRecipe recipe = TRY(parse_kv_recipe(home.options().engine.kv));
  Json out = Json::object();
  out.set("name", model.name())
      .set("family", shape.family)
      .set("layers", shape.layers)
      .set("width", shape.width);
  out.set("context", engine->context()).set("trained_context", shape.context);
  out.set("weights_resident", model.weights().resident_bytes());
  return out.set("kv_bytes_of_1000_tokens", kv_bytes_for(shape.kv, recipe, 1000));
}

// What is derived, and how much of what `me` said waits for it.
Result<Json> reflection(Home& home) {
  Json out = Json::object();
  out.set("recipe", home.options().memory).set("reflectors", home.options().reflector);
  const Principal who{"me"};
  const auto mark = Reached(posix_env(), home.folder(), home.options().reflector).reached(who);
  if (!mark) return out.set("turns_left", "none: new turns are reflected on, 'varve reflect' does the past");
  PastTurns past(home.cubes(), who, who.name, mark);
  int64_t left = 0;
  while (TRY(past.next())) ++left;
  return out.set("turns_left", left);
}

void print(const Json& part, const std::string& indent, std::ostream& out) {
  for (const auto& [key, value] : part.as_object()) {
    if (value.is_object()) {
      out << indent << key << "\n";
      print(value, indent + "  ", out);
    } else {
      out << indent << key << ": " << (value.is_string() ? value.as_string() : value.dump());
      if (value.is_int() && value.as_int() >= 1 << 20) out << " (" << format_bytes(value.as_int()) << ")";
      out << "\n";
    }
  }
}

}  // namespace

Result<int> run_doctor(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, UseModel::named));
  const bool json = args.flag("--json");
  TRY(args.rest(0, 0, "no more words"));
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  const std::vector<std::string> problems = TRY(home->cubes().check());
  Json found = Json::array();
  for (const std::string& one : problems) found.push(one);
  Json all = Json::object();
  all.set("machine", machine()).set("budget", budget_report(*home)).set("model", TRY(model(*home)));
  all.set("reflection", TRY(reflection(*home)));
  all.set("home", home->folder()).set("disk_write_mb_per_s", TRY(disk_speed(home->folder())));
  all.set("recall", index_report(home->recall().state()));
  all.set("problems", std::move(found));
  if (json) {
    console.out << all.dump() << "\n";
  } else {
    print(all, "", console.out);
  }
  if (problems.empty()) return 0;
  return Status(Code::corrupt,
                std::to_string(problems.size()) + " problems in " + home->folder() + ": " + problems[0]);
}

}  // namespace varve

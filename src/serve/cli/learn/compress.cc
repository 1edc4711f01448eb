// varve compress: a model as a smaller file, by a recipe.
#include "learn/compress/compress.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ostream>
#include <thread>

#include "core/base/process.h"
#include "serve/cli/builtin.h"
#include "serve/home/settings.h"

namespace varve {
namespace {

class Progress {
 public:
  Progress(bool json, std::ostream& out) : json_(json), out_(out) {}
  void operator()(std::string_view stage, int64_t done, int64_t of) {
    const auto now = std::chrono::steady_clock::now();
    if (done != of && stage == stage_ && now - said_ < std::chrono::seconds(2)) return;
    said_ = now, stage_ = stage;
    if (json_) {
      Json json = Json::object();
      out_ << json.set("stage", stage).set("done", done).set("of", of).dump() << std::endl;
    } else {
      out_ << stage << " " << done << "/" << of << std::endl;
    }
  }

 private:
  bool json_;
  std::ostream& out_;
  std::string stage_;
  std::chrono::steady_clock::time_point said_{};
};

void print(const CompressReport& report, bool plan, bool json, std::ostream& out) {
  if (json) {
    out << report.json().dump() << "\n";
    return;
  }
  char line[200];
  for (const CompressedWeight& one : report.weights) {
    if (!plan) break;
    std::snprintf(line, sizeof line, "%-28s %6d x %-6d %-7s -> %-7s %12lld bytes\n", one.role.c_str(),
                  one.rows, one.cols, one.from.c_str(), one.to.c_str(), static_cast<long long>(one.bytes));
    out << line;
  }
  std::snprintf(line, sizeof line, "%lld bytes -> %lld, %.3f bits a weight\n",
                static_cast<long long>(report.bytes_before), static_cast<long long>(report.bytes),
                report.bits());
  out << line;
}

}  // namespace

Result<int> run_compress(Args& args, Console& console) {
  constexpr int64_t kFloor = 24 << 20;  // of the process beside the ledger
  CompressOptions options;
  options.model = TRY(args.value("--model")).value_or("");
  options.out = TRY(args.value("-o")).value_or("");
  options.calibrate = TRY(args.value("--calibrate")).value_or("");
  const std::string to = TRY(args.value("--to")).value_or("");
  TRY(args.number<int64_t>("--tokens", options.tokens, 64, int64_t(1) << 40));
  TRY(args.number<int32_t>("--length", options.length, 16, 1 << 20));
  int32_t threads = 0;
  TRY(args.number<int32_t>("--threads", threads, 0, 1024));
  options.plan_only = args.flag("--plan");
  const bool json = args.flag("--json");
  int64_t budget = machine_bytes() / 2;
  if (const auto text = TRY(args.value("--budget"))) budget = TRY(parse_bytes(*text));
  if (budget < 2 * kFloor)
    return Status(Code::over_budget, "--budget is at least " + std::to_string(2 * kFloor >> 20) + "MiB");
  TRY(args.rest(0, 0, "no more words"));
  if (options.model.empty() || to.empty() || options.out.empty())
    return Status(Code::invalid,
                  "name the model, what it is to become and the file to write: --model, --to, -o");
  const CompressRecipe recipe = TRY(parse_compress_recipe(to));
  if (!options.calibrate.empty() && recipe.sight == Sight::nothing && !recipe.target)
    console.err << "'" << to << "' does not look at the text; '" << to << "+gptq' would\n";
  Ledger ledger(budget - kFloor, kFloor);
  ThreadPool pool(threads > 0 ? threads : int(std::max(1u, std::thread::hardware_concurrency())));
  Progress progress(json, console.err);
  const CompressReport report =
      TRY(compress_model(posix_env(), options, recipe, pool, ledger, std::ref(progress)));
  print(report, options.plan_only, json, console.out);
  if (!json && !options.plan_only) {
    if (report.kept > 0) console.out << report.kept << " weights were done before\n";
    console.out << "Wrote " << options.out << "\n";
  }
  return 0;
}

}  // namespace varve

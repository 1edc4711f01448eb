#include "bench/bench.h"

#include <cstdio>

#include "core/format/json.h"

namespace varve {

#define METHOD(name, summary) Result<std::vector<Measure>> name(const Spec& options);
namespace bench {
#include "bench/all.def"
}
namespace eval {
#include "eval/all.def"
}
#undef METHOD

std::span<const Benchmark> benchmarks() {
  static const std::vector<Benchmark> all = {
#define METHOD(name, summary) Benchmark{#name, summary, bench::name},
#include "bench/all.def"
#undef METHOD
  };
  return all;
}

std::span<const Benchmark> evaluations() {
  static const std::vector<Benchmark> all = {
#define METHOD(name, summary) Benchmark{#name, summary, eval::name},
#include "eval/all.def"
#undef METHOD
  };
  return all;
}

namespace {

struct Run {
  bool list = false, json = false;
  std::vector<std::string_view> names;
  Spec options;
};

Result<Run> read(std::span<const Benchmark> all, std::span<const std::string> arguments) {
  Run run;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.find('=');
    if (argument == "--list") {
      run.list = true;
    } else if (argument == "--json") {
      run.json = true;
    } else if (argument.starts_with("--") && equals == std::string::npos && i + 1 < arguments.size()) {
      run.options.options[argument.substr(2)] = arguments[++i];
    } else if (equals != std::string::npos) {
      run.options.options[argument.substr(0, equals)] = argument.substr(equals + 1);
    } else {
      bool known = false;
      for (const Benchmark& one : all) known = known || one.name == argument;
      if (!known) return Status(Code::not_found, "nothing named '" + argument + "'; --list names all");
      run.names.push_back(argument);
    }
  }
  return run;
}

void print(std::string_view name, const std::vector<Measure>& measures, bool json) {
  for (const Measure& one : measures) {
    if (json) {
      Json line = Json::object();
      line.set("benchmark", name).set("name", one.name).set("value", one.value).set("unit", one.unit);
      if (!one.baseline_name.empty()) {
        line.set("baseline_name", one.baseline_name).set("baseline", one.baseline).set("ratio", one.ratio());
      }
      if (one.asked > 0) line.set("asked", one.asked).set("low", one.low).set("high", one.high);
      std::printf("%s\n", line.dump().c_str());
    } else if (one.asked > 0) {
      std::printf("  %-44s %7.1f %s  [%5.1f, %5.1f] of %4lld", one.name.c_str(), one.value, one.unit.c_str(),
                  one.low, one.high, (long long)one.asked);
      if (!one.baseline_name.empty()) std::printf("   %s: %.1f", one.baseline_name.c_str(), one.baseline);
      std::printf("\n");
    } else if (one.baseline_name.empty()) {
      std::printf("  %-44s %12.4g %s\n", one.name.c_str(), one.value, one.unit.c_str());
    } else {
      std::printf("  %-44s %12.4g %-10s %7.3f x %s (%.4g)\n", one.name.c_str(), one.value, one.unit.c_str(),
                  one.ratio(), one.baseline_name.c_str(), one.baseline);
    }
  }
  std::fflush(stdout);
}

}  // namespace

int run_benchmarks(std::string_view command, std::span<const Benchmark> all,
                   std::span<const std::string> arguments) {
  auto read_arguments = read(all, arguments);
  if (!read_arguments.ok()) {
    std::fprintf(stderr, "varve %.*s: %s\n", int(command.size()), command.data(),
                 std::string(std::move(read_arguments).status().message()).c_str());
    return 2;
  }
  Run run = std::move(read_arguments).value();
  if (run.names.empty() && !run.list && command == "bench" && run.options.options.contains("model")) {
    run.names = {"generate"};  // what a model does on this machine
    run.options.options.try_emplace("depth", "0+1024+4096");
  }
  int failures = 0;
  for (const Benchmark& one : all) {
    bool wanted = run.names.empty();
    for (std::string_view name : run.names) wanted = wanted || name == one.name;
    if (!wanted) continue;
    if (run.list) {
      if (run.json) {
        std::printf("%s\n", Json::object().set("name", one.name).set("summary", one.summary).dump().c_str());
      } else {
        std::printf("%-16.*s %.*s\n", int(one.name.size()), one.name.data(), int(one.summary.size()),
                    one.summary.data());
      }
      continue;
    }
    if (!run.json) std::printf("%.*s\n", int(one.name.size()), one.name.data());
    auto measured = one.run(run.options);
    if (measured.ok()) {
      print(one.name, *measured, run.json);
    } else {
      const bool skipped = measured.code() == Code::not_found;
      failures += !skipped;
      std::fprintf(stderr, "  %s: %s\n", skipped ? "skipped" : "failed",
                   std::string(std::move(measured).status().message()).c_str());
    }
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace varve

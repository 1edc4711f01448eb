// Benchmarks (speed, bytes) and evaluations (quality) that `varve bench` and `varve eval` run by name.
//
// Each prints its figure beside a baseline of the same run, as a ratio. One file a benchmark, one line in
// bench/all.def or eval/all.def. They may use every room and are used by none.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/options.h"
#include "core/base/status.h"

namespace varve {

struct Measure {
  std::string name;  // "q8_0 gemv"
  double value = 0;
  std::string unit;           // "GB/s"
  std::string baseline_name;  // "memory read, same run"; empty: the figure stands alone
  double baseline = 0;
  int64_t asked = 0;         // of a share: of how many, and
  double low = 0, high = 0;  // its 95 % interval
  double ratio() const { return baseline != 0 ? value / baseline : 0; }
};

// `options` come from "key=value" or "--key value" arguments; one that a benchmark does not read is an error.
// A benchmark that needs a file which is absent returns not_found with the sentence that says where it
// looked: the run counts as skipped.
struct Benchmark {
  std::string_view name, summary;
  Result<std::vector<Measure>> (*run)(const Spec& options);
};

std::span<const Benchmark> benchmarks();
std::span<const Benchmark> evaluations();

// What `varve bench` and `varve eval` do: --list, --json, names (default: all), key=value options. An exit
// code.
int run_benchmarks(std::string_view command, std::span<const Benchmark> all,
                   std::span<const std::string> arguments);

}  // namespace varve

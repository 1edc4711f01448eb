#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "serve/cli/command.h"
#include "serve/cli/terminal.h"

namespace {

using namespace varve;

Result<int> run_bench(Args& args, Console&) {
  return run_benchmarks("bench", benchmarks(), args.everything());
}
Result<int> run_eval(Args& args, Console&) {
  return run_benchmarks("eval", evaluations(), args.everything());
}
constexpr Command kMore[] = {
    {"bench", "speed and bytes, beside a baseline of the same run",
     "varve bench [--list] [--json] [NAME...] [key=value...]\n", run_bench},
    {"eval", "quality, beside a baseline of the same run",
     "varve eval [--list] [--json] [NAME...] [key=value...]\n", run_eval},
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  Terminal terminal(STDIN_FILENO);
  Console console{terminal, std::cout, std::cerr};
  return run_program(kMore, words, console);
}

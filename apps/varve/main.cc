#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "serve/cli/command.h"
#include "serve/cli/terminal/terminal.h"

namespace {

using namespace varve;

// What people say to it stays out of core dumps, debuggers of others and files that others can read. A
// reader who goes away is an error of writing, not the end of the program.
void keep_private() {
  prctl(PR_SET_DUMPABLE, 0);
  umask(077);
  std::signal(SIGPIPE, SIG_IGN);
}

Result<int> run_bench(Args& args, Console&) {
  return run_benchmarks("bench", benchmarks(), args.everything());
}
Result<int> run_eval(Args& args, Console&) {
  return run_benchmarks("eval", evaluations(), args.everything());
}
constexpr Command kMore[] = {
    {"bench", "speed and bytes, beside a baseline of the same run",
     "varve bench [--list] [--json] [--model FILE] [NAME...] [key=value...]\n", run_bench},
    {"eval", "quality, beside a baseline of the same run",
     "varve eval [--list] [--json] [NAME...] [key=value...]\n", run_eval},
};

}  // namespace

int main(int argc, char** argv) {
  keep_private();
  const std::vector<std::string> words(argv + 1, argv + argc);
  Terminal terminal(STDIN_FILENO);
  Console console{terminal, std::cout, std::cerr};
  return run_program(kMore, words, console);
}

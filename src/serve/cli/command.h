// Command: one verb of the program. `varve <name> ...` runs it; `varve help <name>` shows its usage.
#pragma once

#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "serve/cli/args.h"

namespace varve {

class Terminal;

struct Console {  // where a command speaks; tests put strings behind the streams
  Terminal& terminal;
  std::ostream& out;
  std::ostream& err;
};

enum class Shared : uint8_t { none, home, turn };  // the options that a command has in common with others

struct Command {
  std::string_view name, summary, usage;
  Result<int> (*run)(Args& args, Console& console);  // an exit code; of an error: outside(code).exit
  Shared shared = Shared::none;                      // shown after its usage
};

std::span<const Command> commands();  // those of this room

// "what went wrong (while doing a, doing b)", on one line.
std::string sentence(const Status& status);

// The whole program: `more` are commands that live above this room. Prints an error as one sentence.
int run_program(std::span<const Command> more, std::span<const std::string> words, Console& console);

}  // namespace varve

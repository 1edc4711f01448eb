#include <algorithm>
#include <ostream>

#include "serve/cli/command.h"
#include "serve/cli/options.h"
#include "serve/home/home.h"

namespace varve {
namespace {

constexpr std::string_view kVersion = "varve 0.1.0";

void print_help(std::span<const Command> own, std::span<const Command> more, std::ostream& out) {
  out << "varve: a model that remembers\n\nusage: varve <command> ...\n\n";
  for (std::span<const Command> part : {own, more}) {
    for (const Command& one : part) {
      out << "  " << one.name << std::string(12 - std::min<size_t>(11, one.name.size()), ' ') << one.summary
          << "\n";
    }
  }
  out << "\n'varve help <command>' shows its options.\n";
}

const Command* find(std::string_view name, std::span<const Command> own, std::span<const Command> more) {
  for (std::span<const Command> part : {own, more}) {
    for (const Command& one : part) {
      if (one.name == name) return &one;
    }
  }
  return nullptr;
}

Result<int> run(std::span<const Command> more, std::span<const std::string> words, Console& console) {
  const std::span<const Command> own = commands();
  const std::string first = words.empty() ? "help" : words[0];
  if (first == "--version" || first == "version") {
    console.out << kVersion << "\n";
    return 0;
  }
  const bool help = first == "help" || first == "--help" || first == "-h";
  if (help && words.size() < 2) {
    print_help(own, more, console.out);
    return 0;
  }
  const std::string name = help ? words[1] : first;
  const Command* command = find(name, own, more);
  if (command == nullptr) {
    return Status(Code::invalid, "there is no command '" + name + "'; 'varve help' lists them");
  }
  Args args(words.subspan(1));
  if (help || args.flag("--help")) {
    console.out << command->summary << "\n\nusage: " << command->usage;
    if (command->shared == Shared::turn) console.out << kTurnUsage;
    if (command->shared != Shared::none) console.out << kHomeUsage;
    return 0;
  }
  return command->run(args, console);
}

}  // namespace

std::string sentence(const Status& status) {
  std::string text(status.message());
  const size_t trail = text.find(" < ");
  if (trail != std::string::npos) {
    text.replace(trail, 3, " (while ");
    for (size_t at; (at = text.find(" < ")) != std::string::npos;) text.replace(at, 3, ", ");
    text += ")";
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

int run_program(std::span<const Command> more, std::span<const std::string> words, Console& console) {
  auto done = run(more, words, console);
  console.out.flush();
  if (done.ok()) return *done;
  const Status status = std::move(done).status();
  console.err << "varve: " << sentence(status) << "\n";
  return outside(status.code()).exit;
}

}  // namespace varve

// varve mcp: the Model Context Protocol over stdin and stdout, one message a line.
#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/mcp/peer.h"

namespace varve {

Result<int> run_mcp(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, false));
  const Principal who = TRY(principal(args));
  const bool read_only = args.flag("--read-only");
  TRY(args.rest(0, 0, "no words"));
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  const McpCaller caller{*home, who, !read_only};
  McpState state;
  std::string line;
  while (console.terminal.read_line(line) == Terminal::Read::line && console.out) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::vector<Json> messages =
        line.size() < Terminal::kMaxLine
            ? mcp_answer_text(caller, state, line)
            : std::vector{mcp_error({}, kInvalidRequest, "a message over stdio has less than 2 MiB")};
    for (const Json& one : messages) console.out << one.dump() << "\n";
    console.out.flush();
  }
  return 0;
}

}  // namespace varve

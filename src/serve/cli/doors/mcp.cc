// varve mcp: the Model Context Protocol over stdin and stdout, one message a line; of the home itself, or of
// a server that has it.
#include <functional>
#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/http/mcp/bridge.h"
#include "serve/mcp/peer.h"

namespace varve {
namespace {

constexpr int64_t kMaxKeyFile = 4096;

using Answer = std::function<std::vector<std::string>(const std::string& message)>;

int speak(Console& console, const Answer& answer) {
  std::string line;
  while (console.terminal.read_line(line) == Terminal::Read::line && console.out) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::vector<std::string> messages =
        line.size() < Terminal::kMaxLine
            ? answer(line)
            : std::vector{mcp_error({}, kInvalidRequest, "a message over stdio has less than 2 MiB").dump()};
    for (const std::string& one : messages) console.out << one << "\n";
    console.out.flush();
  }
  return 0;
}

// Others can read a command line: a key may also stand in a file.
Result<std::string> key_of(const std::string& given) {
  if (given.empty() || given.starts_with("vk-")) return given;
  const auto bytes = TRY(read_file(posix_env(), given, kMaxKeyFile).with("reading the key"));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return std::string(text.substr(0, text.find_first_of(" \t\r\n")));
}

Result<int> speak_for(const std::string& server, Args& args, Console& console) {
  const std::string key = TRY(key_of(TRY(args.value("--key")).value_or("")));
  TRY(args.rest(0, 0, "with --server only --key; the key says whose memory, and what may be done to it"));
  const std::unique_ptr<McpBridge> bridge = TRY(McpBridge::open(server, key));
  return speak(console, [&](const std::string& message) { return bridge->answer(message); });
}

}  // namespace

Result<int> run_mcp(Args& args, Console& console) {
  if (const auto server = TRY(args.value("--server"))) return speak_for(*server, args, console);
  const HomeOptions settings = TRY(home_options(args, UseModel::none));
  const Principal who = TRY(principal(args));
  const bool read_only = args.flag("--read-only");
  TRY(args.rest(0, 0, "no words"));
  auto opened = Home::open(settings);
  if (opened.code() == Code::conflict) {
    return Status(Code::conflict, std::string(std::move(opened).status().message()) +
                                      " (a server: varve mcp --server URL --key KEY)");
  }
  const std::unique_ptr<Home> home = TRY(std::move(opened));
  const McpCaller caller{*home, who, !read_only};
  McpState state;
  return speak(console, [&](const std::string& message) {
    std::vector<std::string> lines;
    for (const Json& one : mcp_answer_text(caller, state, message)) lines.push_back(one.dump());
    return lines;
  });
}

}  // namespace varve

// varve chat: a conversation in the terminal. Words stream as they come; Ctrl-C ends the answer and not the
// program, twice in a row ends the program.
#include <unistd.h>

#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/machine/budget.h"
#include "serve/cli/options.h"
#include "serve/cli/slash.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/control.h"

namespace varve {
namespace {

void greet(Home& home, const Session& session, Console& console) {
  if (!console.terminal.is_tty()) return;
  Engine* engine = home.engine();
  console.out << (engine ? engine->model().name() : "Memory on its own (--model FILE adds a model)")
              << "; conversation '" << session.id() << "' in " << home.folder() << "; /help, /quit\n";
}

void complain(const MemoryVerb& verb, const Status& status) {
  if (verb.json) {
    Json error = Json::object();
    error.set("type", outside(status.code()).type).set("message", sentence(status));
    verb.console.out << Json::object().set("error", std::move(error)).dump() << std::endl;
  }
  verb.console.err << "varve: " << sentence(status) << std::endl;
}

// One message from a person to its answer on the screen.
Status say(Chat& chat, const std::string& line, TurnOptions options) {
  Console& console = chat.verb.console;
  options.adapter = TRY(chat.verb.home.adapter(chat.verb.who, chat.attached));
  const OnPiece show = [&](const Piece& piece) {
    if (!chat.verb.json) console.out << printable(piece.text) << std::flush;
    return bool(console.out);
  };
  InterruptWatch watch(
      console.terminal, [&] { chat.session.interrupt(); }, [] { _exit(130); });  // all is stored
  TurnReport report = TRY(chat.session.turn(line, options, show));
  if (chat.verb.json) {
    console.out << to_json(report, true).dump() << std::endl;
  } else {
    console.out << (report.finish == Finish::cancelled ? " [interrupted]" : "") << std::endl;
  }
  for (const std::string& trouble : report.troubles) console.err << "varve: " << trouble << std::endl;
  TRY(keep_report(chat.verb.home, posix_env(), chat.verb.who, chat.session.id(), report)
          .with("keeping the numbers of the turn; the turn itself is stored"));
  print_speed(chat.verb.home, report.usage, console);
  chat.last = std::move(report);
  return {};
}

Result<int> converse(Chat& chat, const TurnOptions& options) {
  Console& console = chat.verb.console;
  const bool tty = console.terminal.is_tty();
  int interrupts = 0, worst = 0;
  std::string line;
  while (!chat.quit && console.out) {
    const Terminal::Read read = console.terminal.read_line(line, "> ");
    if (read == Terminal::Read::end) break;
    if (read == Terminal::Read::interrupted) {
      if (++interrupts == 2) break;
      console.out << "\n(Ctrl-C again, or /quit, ends the chat)\n";
      continue;
    }
    interrupts = 0;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Status status = line[0] == '/' ? run_slash(chat, line) : say(chat, line, options);
    console.out.flush();
    if (status.ok()) continue;
    complain(chat.verb, status);
    worst = tty ? 0 : outside(status.code()).exit;
  }
  if (tty) console.out << "\n";
  InterruptWatch watch(
      console.terminal, [&] { chat.session.interrupt(); }, [] { _exit(130); });
  chat.session.settle();
  return worst;
}

}  // namespace

Result<int> run_chat(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, UseModel::named_or_project));
  const Principal who = TRY(principal(args));
  TurnOptions options = TRY(turn_options(args));
  options.settle = !console.terminal.is_tty();  // a person does not wait for what is learnt
  const std::string id = TRY(args.value("--session")).value_or("chat");
  const bool json = args.flag("--json"), plan = args.flag("--plan");
  TRY(args.rest(0, 0, "no words after 'chat'; say them when it has begun"));
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  if (plan) {
    print_plan(*home, json, console);
    return 0;
  }
  const std::shared_ptr<Session> session = TRY(home->session(who, id));
  TRY(home->adapter(who, std::nullopt).status());
  const auto control = open_control(*home);
  console.terminal.catch_interrupts();
  greet(*home, *session, console);
  Chat chat{.verb = {*home, who, console, json}, .session = *session};
  return converse(chat, options);
}

}  // namespace varve

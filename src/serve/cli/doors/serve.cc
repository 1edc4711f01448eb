// varve serve: the HTTP API until it is interrupted. varve key: who may use it.
#include <unistd.h>

#include <algorithm>
#include <ostream>

#include "core/base/log.h"
#include "serve/cli/builtin.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/control.h"
#include "serve/http/server.h"

namespace varve {
namespace {

std::vector<std::string> split(std::string_view list) {  // at commas
  std::vector<std::string> parts;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

Result<ServerOptions> server_options(Args& args) {
  ServerOptions options;
  if (auto address = TRY(args.value("--address"))) options.address = *address;
  TRY(args.number("--port", options.port, 0, 65535));
  options.hosts = split(TRY(args.value("--allow-host")).value_or(""));
  options.origins = split(TRY(args.value("--allow-origin")).value_or(""));
  if (auto most = TRY(args.value("--max-body"))) options.max_body_bytes = TRY(parse_bytes(*most));
  options.expose = args.flag("--expose");
  options.open = args.flag("--no-key");
  return options;
}

// The first start makes a key, so that the server is never open by accident.
Status first_key(Keys& keys, const Principal& who, std::ostream& out) {
  if (!keys.empty()) return {};
  const std::string secret = TRY(keys.make(who, Access::admin));
  out << "A key for " << who.name << ", shown this once: " << secret << "\n";
  return {};
}

}  // namespace

Result<int> run_serve(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, UseModel::named));
  const Principal who = TRY(principal(args));
  ServerOptions options = TRY(server_options(args));
  options.open_as = who.name;
  const bool remember = !args.flag("--no-remember");
  TRY(args.rest(0, 0, "no words"));

  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  const std::unique_ptr<Keys> keys = TRY(Keys::open(posix_env(), home->folder()));
  if (!options.open) TRY(first_key(*keys, who, console.out));
  Counters counters;
  Api api{*home, counters, remember};
  const auto control = open_control(*home);
  const std::unique_ptr<HttpServer> server = TRY(start_server(api, *keys, options));
  const std::string host =
      options.address.find(':') == std::string::npos ? options.address : "[" + options.address + "]";
  console.terminal.catch_interrupts({SIGINT, SIGTERM});
  InterruptWatch watch(
      console.terminal, [&] { server->stop(); }, [] { _exit(130); });
  // Said last: who reads it may ask, and may end the server in order.
  console.out << "Varve listens on http://" << host << ":" << server->port() << std::endl;
  server->wait();
  console.out << "stopped\n";
  return 0;
}

Result<int> run_key(Args& args, Console& console) {
  const HomeOptions settings = TRY(home_options(args, UseModel::none));
  const std::string role = TRY(args.value("--role")).value_or("write");
  Principal who{.name = "", .agent = TRY(args.value("--agent")).value_or("")};
  who.session = TRY(args.value("--session")).value_or("");
  const std::vector<std::string> words = TRY(args.rest(1, 2, "add NAME, revoke NAME or list"));
  const std::string folder = settings.folder.empty() ? TRY(default_folder()) : settings.folder;
  TRY(posix_env().make_folder(folder));
  const std::unique_ptr<Keys> keys = TRY(Keys::open(posix_env(), folder));
  if (words[0] == "list" && words.size() == 1) {
    for (const Key& key : keys->all()) {
      console.out << key.who.name << " " << to_string(key.role);
      if (!key.who.agent.empty()) console.out << ", agent " << key.who.agent;
      if (!key.who.session.empty()) console.out << ", session " << key.who.session;
      console.out << "\n";
    }
    return 0;
  }
  if (words.size() != 2 || (words[0] != "add" && words[0] != "revoke")) {
    return Status(Code::invalid, "say 'varve key add NAME', 'varve key revoke NAME' or 'varve key list'");
  }
  who.name = words[1];
  if (words[0] == "revoke") {
    TRY(keys->revoke(who));
    console.out << "revoked; a running server forgets it when it starts again\n";
    return 0;
  }
  const std::string secret = TRY(keys->make(who, TRY(parse_role(role))));
  console.out << "A key for " << words[1] << ", shown this once: " << secret << "\n";
  return 0;
}

}  // namespace varve

// Slash commands of a chat: "/recall figs". One table, shown by /help.
#pragma once

#include <optional>
#include <string>

#include "serve/cli/memory.h"

namespace varve {

struct Chat {  // what a slash command can see
  MemoryVerb verb;
  Session& session;
  std::optional<std::vector<AdapterChoice>> attached;  // nullopt: as the settings say
  std::optional<TurnReport> last;
  bool quit = false;
};

Status run_slash(Chat& chat, const std::string& line);
std::string why(const TurnReport& report);  // what was recalled and why, reused, stored, and how long it took

}  // namespace varve

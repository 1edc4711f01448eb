// Recall, remember, forget: as commands, and as what a chat's slash commands do.
#pragma once

#include <string>
#include <string_view>

#include "serve/cli/command.h"
#include "serve/home/home.h"

namespace varve {

struct MemoryVerb {  // one request, wherever it was typed
  Home& home;
  const Principal& who;
  Console& console;
  bool json = false;
  std::string space = who.name;  // where to remember
};

Status recall_words(const MemoryVerb& verb, const RecallQuery& query);
Status remember_words(const MemoryVerb& verb, std::string_view words, std::optional<TimeMs> event);
Status remember_file(const MemoryVerb& verb, const std::string& path, std::optional<TimeMs> event);
// By id, or every memory that contains the words. Asks before it erases; without a person to ask, `yes` must
// be set. Prints the receipts, and returns them.
Result<Json> forget_words(const MemoryVerb& verb, const std::string& words, bool yes);

// What a command without a model begins with: the home, who asks, and the words that are left.
struct Opened {
  std::unique_ptr<Home> home;
  Principal who;
  bool json = false;
  std::vector<std::string> words;
};
Result<Opened> open_for(Args& args, size_t least, size_t most, std::string_view what);

// "018f... fact 2024-05-08 I like figs"
std::string one_line(const CubeHeader& header, std::string_view text);

}  // namespace varve

// What several commands read from their words: the home, who asks, how to answer.
#pragma once

#include "serve/cli/args.h"
#include "serve/home/home.h"

namespace varve {

enum class UseModel : uint8_t {
  none,             // memory commands do not start one, whatever the settings name
  named,            // what the settings or --model name
  named_or_project  // else the project's own, where it lies beside the program
};
// settings.json of the home under the flags: --home, and one flag for each setting ("--max-sequences 4").
// The model "nano" is the project's own; "none" is memory on its own. not_found: no nano beside the program.
Result<HomeOptions> home_options(Args& args, UseModel use);
Result<Principal> principal(Args& args);       // --as NAME; "me". --agent NAME acts for it
Result<TurnOptions> turn_options(Args& args);  // --max-tokens, --temperature, --seed, ..., --no-recall
std::string joined(const std::vector<std::string>& words);  // with spaces between

constexpr std::string_view kHomeUsage =
    "  --home DIR         where everything is kept; default $VARVE_HOME, then ~/.varve\n"
    "  --as NAME          who asks; each has a space of their own; default me\n"
    "  --agent NAME       acts for that user, with the rights it was lent\n"
    "  --budget SIZE      what the whole process may take, as 4GiB\n"
    "  and every other setting of 'varve settings', as --max-sequences 4\n"
    "  --json             one line of JSON instead of words for people\n";
constexpr std::string_view kTurnUsage =
    "  --max-tokens N, -n N   length of an answer; default 512\n"
    "  --temperature T        0: always the likeliest word; default the model's, else 0.8\n"
    "  --top-k K --top-p P --min-p P --seed N --repeat-penalty R\n"
    "  --stop TEXT            end the answer before this text\n"
    "  --system TEXT          words before the conversation\n"
    "  --excerpt              of a message too long for the context, read the parts that matter\n"
    "  --subtasks tim         of finished <subtask>s keep the <result> alone: an answer longer than the "
    "context\n"
    "  --activation ID        begin with what 'varve capture' made of some memories\n"
    "  --recall-tokens N      how much may be recalled for a turn; default the recipe's\n"
    "  --no-recall            answer without memory\n"
    "  --no-remember          store nothing\n"
    "  --plan                 which weights stay in memory and which stream from disk within the\n"
    "                         budget, how fast that can be; then stop\n";

}  // namespace varve

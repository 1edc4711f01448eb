#include <string>

#include "serve/cli/builtin.h"
#include "serve/cli/options.h"

namespace varve {
namespace {

std::string usage(std::string_view first, bool turn = false) {
  return std::string(first) + "\n" + std::string(turn ? kTurnUsage : "") + std::string(kHomeUsage) +
         "  --json             one line of JSON instead of words for people\n";
}

}  // namespace

std::span<const Command> commands() {
  static const std::string chat = usage(
      "varve chat [--model FILE] [--session ID] ...\n\n"
      "  --model FILE       GGUF file of the model; without one, memory answers on its own\n"
      "  --session ID       the conversation to go on with; default 'chat'",
      true);
  static const std::string complete = usage("varve complete --model FILE --prompt TEXT ...\n", true);
  static const std::string serve = usage(
      "varve serve [--model FILE] [--address 127.0.0.1] [--port 8080] ...\n\n"
      "  --no-key           anybody on this machine may ask, as --as NAME\n"
      "  --no-remember      chats are neither recalled for nor stored unless a request says so\n"
      "  --expose           needed to listen on an address that is not this machine's own\n"
      "  --allow-host A,B   further names in the Host header that mean this server\n"
      "  --allow-origin A,B web pages that may call\n"
      "  --max-body SIZE    of a request; default 32MiB\n");
  static const std::string mcp = usage(
      "varve mcp [--read-only] ...\n\n"
      "  Speaks the Model Context Protocol on stdin and stdout: a program that offers tools to a\n"
      "  model starts it. 'varve serve' offers the same at http://ADDRESS:PORT/mcp.\n\n"
      "  --read-only        only the tools that change nothing\n");
  static const std::string key = usage(
      "varve key add NAME [--role read|write|admin]\n"
      "       varve key revoke NAME\n"
      "       varve key list\n");
  static const std::string recall = usage("varve recall WORDS... [--limit N]\n");
  static const std::string remember = usage(
      "varve remember WORDS... [--event 2024-05-08]\n"
      "       varve remember --file TEXT.txt [--event 2024-05-08]\n");
  static const std::string forget = usage("varve forget ID|WORDS... [--yes]\n");
  static const std::string cube = usage(
      "varve cube list [--space S] [--kind K] [--session ID] [--all] [--limit N] [--after ID]\n"
      "       varve cube show ID [--version N]\n"
      "       varve cube history ID\n"
      "       varve cube export ID [FILE]\n"
      "       varve cube import FILE [--space S]\n");
  static const std::string imported = usage(
      "varve import FILE [--space S] [--believe]\n\n"
      "  FILE: Varve's own JSONL, mem0's memories, or the conversations.json of a ChatGPT or Claude\n"
      "  export. What is there already is left alone, so an import that was cut off goes on.\n\n"
      "  --space S          where to; default the space of who asks\n"
      "  --believe          take the file's word on who said what; else all of it comes from outside\n");
  static const std::string exported = usage(
      "varve export FILE.jsonl|- [--space S] [--all]\n\n"
      "  --space S          only this space; default every space that may be read\n"
      "  --all              archived and expired memories too\n");
  static const std::string explain = usage("varve explain\n");
  static const std::string doctor = usage("varve doctor [--model FILE]\n");
  static const Command all[] = {
      {"chat", "talk, with memory", chat, run_chat},
      {"serve", "the same over HTTP, as OpenAI's clients speak it", serve, run_serve},
      {"mcp", "memory as tools for other programs' models, over stdio", mcp, run_mcp},
      {"key", "who may use the server", key, run_key},
      {"recall", "what memory holds about some words", recall, run_recall},
      {"remember", "keep some words, or a text file", remember, run_remember},
      {"forget", "erase memories for good, with a receipt", forget, run_forget},
      {"cube", "memories one by one: list, show, history, export, import", cube, run_cube},
      {"import", "memories from Varve, mem0, ChatGPT or Claude", imported, run_import},
      {"export", "memories as lines of JSON", exported, run_export},
      {"explain", "what the newest turn recalled, reused and stored", explain, run_explain},
      {"complete", "let a model go on with a text; no memory", complete, run_complete},
      {"list", "every method that can be chosen", "varve list [--json]\n", run_list},
      {"settings", "every setting, its range and default", "varve settings [--json]\n", run_settings},
      {"doctor", "machine, budget, disk, and whether the home is sound", doctor, run_doctor},
  };
  return all;
}

}  // namespace varve

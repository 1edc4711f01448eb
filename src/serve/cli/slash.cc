#include "serve/cli/slash.h"

#include <cstdio>
#include <ostream>

#include "serve/cli/terminal/terminal.h"
#include "serve/home/settings.h"
#include "serve/session/answer/plain_answer.h"

namespace varve {
namespace {

struct Slash {
  std::string_view name, sentence;
  Status (*run)(Chat& chat, const std::string& words);
};
extern const Slash kSlashes[9];

Status recall(Chat& chat, const std::string& words) {
  if (words.empty()) return Status(Code::invalid, "say what to look for: /recall figs");
  return recall_words(chat.verb, {.text = std::string(words), .limit = 10});
}
Status remember(Chat& chat, const std::string& words) {
  return remember_words(chat.verb, words, std::nullopt);
}
Status forget(Chat& chat, const std::string& words) {
  const bool yes = words.rfind("--yes ", 0) == 0;
  return forget_words(chat.verb, yes ? words.substr(6) : words, yes).status();
}
Status show_why(Chat& chat, const std::string&) {
  if (!chat.last) return Status(Code::not_found, "nothing was said yet in this chat");
  chat.verb.console.out << (chat.verb.json ? to_json(*chat.last, true).dump() + "\n" : why(*chat.last));
  return {};
}
Status history(Chat& chat, const std::string&) {
  for (const Said& said : TRY(chat.session.transcript())) {
    const std::string line = format_time(said.time) + " " + said.speaker + ": " + said.text;
    chat.verb.console.out << printable(line) << "\n";
  }
  return {};
}
Status attach(Chat& chat, const std::string& words) {
  if (words.empty()) return Status(Code::invalid, "say which: /attach mine, or /attach mine,other:0.5");
  std::vector<AdapterChoice> choices = TRY(parse_adapters(words));
  TRY(chat.verb.home.adapter(chat.verb.who, choices).status());
  chat.attached = std::move(choices);
  return {};
}
Status detach(Chat& chat, const std::string&) {
  chat.attached.emplace();
  return {};
}
Status help(Chat& chat, const std::string&) {
  for (const Slash& one : kSlashes) {
    chat.verb.console.out << "/" << one.name << std::string(10 - one.name.size(), ' ') << one.sentence
                          << "\n";
  }
  return {};
}
Status quit(Chat& chat, const std::string&) {
  chat.quit = true;
  return {};
}

const Slash kSlashes[9] = {
    {"recall", "what memory holds about some words", recall},
    {"remember", "keep these words", remember},
    {"forget", "erase by id, or all that contains some words", forget},
    {"why", "what the last answer saw, reused and stored", show_why},
    {"history", "this conversation from its beginning", history},
    {"attach", "adapters to the model, as /attach mine or /attach mine,other:0.5", attach},
    {"detach", "all adapters: the model alone", detach},
    {"help", "these lines", help},
    {"quit", "end (Ctrl-D does it too); everything is stored already", quit},
};

}  // namespace

Status run_slash(Chat& chat, const std::string& line) {
  const size_t space = line.find(' ');
  const std::string name = line.substr(1, space == std::string::npos ? space : space - 1);
  std::string words = space == std::string::npos ? "" : line.substr(space + 1);
  words.erase(0, words.find_first_not_of(' '));
  for (const Slash& one : kSlashes) {
    if (one.name == name) return one.run(chat, words);
  }
  return Status(Code::invalid, "there is no /" + name + "; /help lists what there is");
}

namespace {

// Where attention state lies.
std::string told_state(const Usage& usage) {
  if (usage.kv_bytes == 0) return "";
  std::string out;
  out += "state    " + format_bytes(usage.kv_bytes) + " of " + std::string(usage.kv_pack) + ", " +
         format_bytes(usage.shared_bytes) + " of them found computed; " + std::to_string(usage.pauses) +
         " pauses on disk\n         " + std::to_string(usage.kv.rows) + " pages as rows, " +
         std::to_string(usage.kv.packed) + " packed, " + std::to_string(usage.kv.on_disk) + " on the disk, " +
         std::to_string(usage.kv.fetched) + " times one of them came back";
  if (usage.kv.of > 0)
    out += "; " + std::to_string(100 * usage.kv.read / usage.kv.of) + " % read by queries that select";
  out += "\n";
  return out;
}

}  // namespace

std::string why(const TurnReport& report) {
  std::string out;
  for (const Recalled& one : report.recalled) {
    char score[32];
    std::snprintf(score, sizeof(score), "%.3f", double(one.score));
    out += "recalled " + one.header.id.text() + "  score " + score;
    for (const auto& [name, part] : one.parts) {
      std::snprintf(score, sizeof(score), "%.3f", double(part));
      out += "  " + name + " " + score;
    }
    out += "\n         " + printable(describe(one)) + "\n";
  }
  if (report.recalled.empty()) out += "recalled nothing\n";
  const Usage& usage = report.usage;
  if (usage.prompt_tokens > 0) {
    out += "prompt   " + std::to_string(usage.prompt_tokens) + " tokens, " +
           std::to_string(usage.reused_tokens) + " of them reused; " +
           std::to_string(usage.generated_tokens) + " generated\n";
  }
  if (usage.restored_tokens > 0)
    out += "         " + std::to_string(usage.restored_tokens) + " of those were kept on disk\n";
  if (const KvCounts& kv = usage.kv; kv.dropped + kv.merged > 0) {
    const auto percent = [&](int64_t of) {
      return std::to_string(100 * of / (kv.kept + kv.dropped + kv.merged)) + " %";
    };
    out += "kv       " + percent(kv.kept) + " of what was read is kept, " + percent(kv.dropped) +
           " dropped, " + percent(kv.merged) + " merged into what is kept, by the KV policy\n";
  }
  if (const auto& captured = report.captured) {
    out += "captured " + captured->header.id.text() + "  " + std::to_string(captured->reused) + " of " +
           std::to_string(captured->tokens) + " tokens reused" +
           (captured->trouble.empty() ? "" : "; its words were read: " + captured->trouble) + "\n";
  }
  if (report.parts > 0) {
    out += "excerpt  " + std::to_string(report.parts_read) + " of " + std::to_string(report.parts) +
           " parts of your message were read\n";
  }
  if (usage.subtasks > 0) {
    out += "subtasks " + std::to_string(usage.subtasks) + " finished; " +
           std::to_string(usage.pruned_tokens) + " tokens of their work left the KV, " +
           std::to_string(usage.reread_tokens) + " were read again\n";
  }
  for (const Spliced& one : report.spliced) {
    out += "spliced  " + one.cube.text() + "  " + std::to_string(one.tokens) + " tokens, " +
           std::string(to_string(one.fidelity)) + "\n";
  }
  out += told_state(usage);
  if (report.turns_left_out > 0) {
    out += "left out the oldest " + std::to_string(report.turns_left_out) + " turns; they can be recalled\n";
  }
  for (const std::string& id : report.stored) out += "stored   " + id + "\n";
  out += "time    ";
  for (const auto& [name, ms] : report.stage_ms) {
    char text[64];
    std::snprintf(text, sizeof(text), " %s %.1f ms", name.c_str(), ms);
    out += text;
  }
  return out + "\npeak     " + format_bytes(report.peak_bytes) + "\n";
}

}  // namespace varve

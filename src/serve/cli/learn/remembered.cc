#include "serve/cli/learn/remembered.h"

#include <algorithm>
#include <map>

#include "core/format/json.h"

namespace varve {
namespace {

struct Words {
  CubeHeader header;
  std::string text;
};

Result<std::vector<CubeHeader>> listed(const CubeStore& cubes, const Principal& who, CubeFilter filter) {
  std::vector<CubeHeader> all;
  filter.form = Form::plaintext, filter.limit = 1000;
  for (;;) {
    const std::vector<CubeHeader> page = TRY(cubes.list(who, filter));
    all.insert(all.end(), page.begin(), page.end());
    if (page.size() < size_t(filter.limit)) return all;
    filter.after = page.back().id;
  }
}

Result<std::vector<CubeHeader>> asked(const CubeStore& cubes, const Principal& who, std::string_view feed) {
  const std::string name(feed.substr(feed.find(':') + 1));
  if (feed.starts_with("cube:")) return std::vector{TRY(cubes.head(who, TRY(CubeId::parse(name))))};
  if (feed.starts_with("session:")) return listed(cubes, who, {.kind = "turn", .session = name});
  TRY(check_space(name));
  std::vector<CubeHeader> all = TRY(listed(cubes, who, {.space = name}));
  // What was said and read; not what was derived from it.
  std::erase_if(all, [](const CubeHeader& one) { return !is_evidence(one.kind) && !one.from.empty(); });
  return all;
}

void put_line(std::string& lines, Json line) {
  lines += line.dump() + "\n";
}

// A chat where a user speaks first and somebody answers; else the words as they are.
void put_conversation(std::string& lines, std::vector<Words> turns) {
  std::stable_sort(turns.begin(), turns.end(),
                   [](const Words& a, const Words& b) { return a.header.turn < b.header.turn; });
  Json messages = Json::array();
  bool answered = false;
  for (Words& one : turns) {
    const bool assistant = one.header.speaker == "assistant";
    if (messages.size() == 0 && assistant) continue;
    Json::Array& all = messages.as_array();
    const char* role = assistant ? "assistant" : "user";
    if (!all.empty() && all.back()["role"] == Json(role)) {
      all.back().set("content", all.back()["content"].as_string() + "\n" + one.text);
    } else {
      messages.push(Json::object().set("role", role).set("content", one.text));
    }
    answered = answered || assistant;
  }
  if (answered) return put_line(lines, Json::object().set("messages", std::move(messages)));
  for (const Words& one : turns) put_line(lines, Json::object().set("text", one.text));
}

}  // namespace

Result<HomeWords> home_words(Args& args) {
  HomeWords words;
  words.options.folder = TRY(args.value("--home")).value_or("");
  if (words.options.folder.empty()) words.options.folder = TRY(default_folder());
  TRY(read_settings(posix_env(), words.options.folder, "", settings_of(words.options)));
  words.options.model.clear();
  words.who.name = TRY(args.value("--as")).value_or("me");
  TRY(check_name("principal", words.who.name));
  words.who.agent = TRY(args.value("--agent")).value_or("");
  return words;
}

bool is_remembered(std::string_view feed) {
  return feed.starts_with("cube:") || feed.starts_with("space:") || feed.starts_with("session:");
}

Result<std::string> remembered(const CubeStore& cubes, const Principal& who, std::string_view feed,
                               std::vector<Source>& from) {
  std::map<std::string, std::vector<Words>> conversations;
  std::string lines;
  const std::vector<CubeHeader> all = TRY(asked(cubes, who, feed));
  if (from.size() + all.size() > kMaxSources) {
    return Status(Code::invalid, std::string(feed) + " has " + std::to_string(all.size()) +
                                     " memories; an adapter learns from at most " +
                                     std::to_string(kMaxSources) + ": choose some, as session:NAME");
  }
  for (const CubeHeader& header : all) {
    std::string text = TRY(cubes.payload(who, header.id));
    from.push_back({header.id, header.version});
    if (header.kind == "turn") {
      conversations[header.session].push_back({header, std::move(text)});
    } else {
      put_line(lines, Json::object().set("text", text));
    }
  }
  for (auto& [session, turns] : conversations) put_conversation(lines, std::move(turns));
  if (lines.empty()) return Status(Code::not_found, std::string(feed) + " holds nothing to learn from");
  return lines;
}

}  // namespace varve

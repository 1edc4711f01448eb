#include "tests/e2e/runner.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "serve/home/settings.h"

namespace varve {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return text;
}
bool contains(const std::string& text, const std::string& words) {
  return lower(text).find(lower(words)) != std::string::npos;
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Everything that lies in the home, as one text: what was erased must not be in it.
std::string disk(const std::string& folder) {
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    all.append(std::istreambuf_iterator<char>(file), {}).append("\n");
  }
  return all;
}

class Play {
 public:
  Play(const Scene& scene, Driver& driver, const std::string& folder, const Minds& minds)
      : scene_(scene), driver_(driver), minds_(minds) {
    stage_.folder = folder;
  }
  Result<std::vector<std::string>> run() {
    for (const SceneLine& line : scene_.lines) {
      TRY(perform(line).with(scene_.path + ":" + std::to_string(line.number)));
    }
    return std::move(failures_);
  }

 private:
  Status perform(const SceneLine& line);
  Status set(const std::string& name, const std::string& value) {
    stage_.settings[name] = value;
    begun_ = false;
    return {};
  }
  Status begin() {
    if (begun_) return {};
    begun_ = true;
    return driver_.begin(stage_);
  }
  Status turn(const std::string& words);
  void expect(const SceneLine& line);
  void number(const SceneLine& line, const std::string& what, const std::string& relation,
              const std::string& value);
  std::string seen(const std::string& what);
  void fail(const SceneLine& line, const std::string& got) {
    failures_.push_back(scene_.path + ":" + std::to_string(line.number) + ": expected " + line.words +
                        ", got " + got.substr(0, 300));
  }

  const Scene& scene_;
  Driver& driver_;
  const Minds& minds_;
  Stage stage_;
  bool begun_ = false;
  Json before_, report_;  // of the last two turns
  std::string error_;     // of the last turn
  std::vector<std::string> failures_;
};

Status Play::turn(const std::string& words) {
  Status begun = begin();
  auto report = begun.ok() ? driver_.turn(words) : Result<Json>(std::move(begun));
  error_ = report.ok() ? "" : std::string(Result<Json>(std::move(report)).status().message());
  if (!error_.empty()) return {};
  before_ = std::exchange(report_, std::move(report).value());
  return {};
}

// "set context 128", "again 40 Tell me about number {i}"
Status Play::perform(const SceneLine& line) {
  const size_t space = std::min(line.words.find(' '), line.words.size());
  const std::string first = line.words.substr(0, space);
  const std::string rest = space < line.words.size() ? line.words.substr(space + 1) : "";
  if (line.verb == "mind") return set("model", TRY(minds_(line.words)));
  if (line.verb == "budget") return set("budget", line.words);
  if (line.verb == "set") return set(first, rest);
  if (line.verb == "turn") return turn(line.words);
  if (line.verb == "again") {
    for (int i = 1; i <= std::atoi(first.c_str()); ++i) TRY(turn(replaced(rest, "{i}", std::to_string(i))));
    return {};
  }
  if (line.verb == "as" || line.verb == "session" || line.verb == "restart") {
    if (line.verb == "as") stage_.principal = line.words;
    if (line.verb == "session") stage_.session = line.words;
    begun_ = false;
    return {};
  }
  if (line.verb == "expect") {
    expect(line);
    return {};
  }
  TRY(begin());
  if (line.verb == "remember") return driver_.remember(line.words);
  if (line.verb == "forget") return driver_.forget(line.words);
  report_ = Json::object().set("recalled", TRY(driver_.recall(line.words)));  // "recall"
  return {};
}

// What an expectation looks at, as text.
std::string Play::seen(const std::string& what) {
  if (what == "disk") return disk(stage_.folder);
  if (what == "error") return error_;
  if (what == "stored") {
    std::string all;
    for (const Json& id : report_["stored"].as_array()) {
      auto words = driver_.words_of(id.as_string());
      all += (words.ok() ? *words : "[gone]") + "\n";
    }
    return all;
  }
  const Json& value = report_[what];
  return value.is_string() ? value.as_string() : value.dump();
}

void Play::number(const SceneLine& line, const std::string& what, const std::string& relation,
                  const std::string& value) {
  const Json& got = report_[what];
  if (!error_.empty() || !got.is_number()) return fail(line, error_.empty() ? got.dump() : error_);
  if (relation == "grows") {
    if (got.as_double() <= before_[what].as_double())
      fail(line, got.dump() + " after " + before_[what].dump());
    return;
  }
  const auto bound = parse_bytes(value == "budget" ? stage_.settings["budget"] : value);
  if (!bound.ok()) return fail(line, "no number to compare with");
  const double left = got.as_double(), right = double(*bound);
  const bool holds = relation == ">=" ? left >= right : relation == "<=" ? left <= right : left == right;
  if (!holds) fail(line, got.dump());
}

// "recalled ~ peanut", "recalled none", "reused_tokens >= 20", "reused_tokens grows", "disk !~ peanut"
void Play::expect(const SceneLine& line) {
  const size_t one = std::min(line.words.find(' '), line.words.size());
  const size_t two = std::min(line.words.find(' ', one + 1), line.words.size());
  const std::string what = line.words.substr(0, one);
  const std::string relation = one < line.words.size() ? line.words.substr(one + 1, two - one - 1) : "";
  const std::string value = two < line.words.size() ? line.words.substr(two + 1) : "";
  if (!error_.empty() && what != "error" && what != "disk") return fail(line, error_);
  if (relation == "none") {
    if (report_[what].size() != 0 || (what == "error" && !error_.empty())) fail(line, seen(what));
  } else if (relation == "~" || relation == "!~") {
    if (contains(seen(what), value) != (relation == "~")) fail(line, what == "disk" ? "it" : seen(what));
  } else {
    number(line, what, relation, value);
  }
}

}  // namespace

Result<std::vector<std::string>> play(const Scene& scene, Driver& driver, const std::string& folder,
                                      const Minds& minds) {
  return Play(scene, driver, folder, minds).run();
}

}  // namespace varve

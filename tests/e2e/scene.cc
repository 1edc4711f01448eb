#include "tests/e2e/scene.h"

#include <algorithm>
#include <fstream>

namespace varve {
namespace {

constexpr const char* kVerbs[] = {"mind",  "budget",   "set",    "as",     "session", "turn",
                                  "again", "remember", "recall", "forget", "restart", "expect"};

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

}  // namespace

Result<Scene> read_scene(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Status(Code::not_found, path + " is not there");
  Scene scene{.path = path};
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    line = trimmed(line);
    ++number;
    if (line.empty()) continue;
    if (line[0] == '#') {
      if (scene.summary.empty()) scene.summary = trimmed(line.substr(1));
      continue;
    }
    const size_t space = std::min(line.find(' '), line.size());
    SceneLine one{number, line.substr(0, space), trimmed(line.substr(space))};
    if (std::find(std::begin(kVerbs), std::end(kVerbs), one.verb) == std::end(kVerbs)) {
      return Status(Code::invalid, path + ":" + std::to_string(number) + ": unknown verb '" + one.verb + "'");
    }
    scene.lines.push_back(std::move(one));
  }
  return scene;
}

}  // namespace varve

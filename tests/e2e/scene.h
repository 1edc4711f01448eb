// Scene: a conversation as text, with what must come of it. One file, any driver: see README.md here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace varve {

struct SceneLine {
  int number = 0;     // in the file
  std::string verb;   // "turn", "expect", ...
  std::string words;  // the rest of the line
};
struct Scene {
  std::string path, summary;  // the comment that begins the file
  std::vector<SceneLine> lines;
};
Result<Scene> read_scene(const std::string& path);

}  // namespace varve

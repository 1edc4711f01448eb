// Driver: one way into Varve, for scenes. Each begins a real home in a folder; none of them fakes anything.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/format/json.h"

namespace varve {

struct Stage {  // what a scene has set so far
  std::string folder;
  std::string principal = "me", session = "chat";
  std::map<std::string, std::string> settings;  // of varve settings: model, budget, ...
};

class Driver {
 public:
  virtual ~Driver() = default;
  // Everything starts anew on the same folder; what was begun before has ended. A failure may also come with
  // the first turn.
  virtual Status begin(const Stage& stage) = 0;
  virtual Result<Json> turn(const std::string& words) = 0;    // to_json(TurnReport, true)
  virtual Result<Json> recall(const std::string& words) = 0;  // its "recalled"
  virtual Status remember(const std::string& words) = 0;
  virtual Status forget(const std::string& words) = 0;
  virtual Result<std::string> words_of(const std::string& cube) = 0;
};

std::unique_ptr<Driver> make_api_driver();                             // Home and Session, in this process
std::unique_ptr<Driver> make_cli_driver(const std::string& program);   // the program, over pipes
std::unique_ptr<Driver> make_http_driver(const std::string& program);  // varve serve, over a socket

}  // namespace varve

// Control: what other programs of the same user ask of a process that has the home open. A socket in the
// home, which its folder keeps from everybody else. One line is asked, one is answered.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "memory/cube/governance.h"

namespace varve {

class Control {
 public:
  // Listens at `folder`/control until it dies. "backup NAME FOLDER": in the name of NAME.
  static Result<std::unique_ptr<Control>> open(const std::string& folder, Governance& governance);
  ~Control();

 private:
  Control(int socket, std::string path, Governance& governance);
  void run();
  void answer(int peer);

  const int socket_;
  const std::string path_;
  Governance& governance_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Asks whoever has the home open. not_found: nobody listens there.
Result<Backup> ask_for_backup(const std::string& home, const Principal& by, const std::string& folder);

}  // namespace varve

// Control: what other programs of the same user ask of a process that has the home open. A socket in the
// home, which its folder keeps from everybody else. One line is asked, one is answered.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "core/format/json.h"
#include "memory/cube/governance.h"

namespace varve {

class Home;

class Control {
 public:
  // Sets the budget when there are bytes; says how things are then.
  using OnBudget = std::function<Result<Json>(std::optional<int64_t> bytes)>;

  // Listens at `folder`/control until it dies. A backup is made in the name of who asks.
  static Result<std::unique_ptr<Control>> open(const std::string& folder, Governance& governance,
                                               OnBudget on_budget = {});
  ~Control();

 private:
  Control(int socket, std::string path, Governance& governance, OnBudget on_budget);
  void run();
  void answer(int peer);
  Json reply_to(const Json& asked);

  const int socket_;
  const std::string path_;
  Governance& governance_;
  const OnBudget on_budget_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Asks whoever has the home open. not_found: nobody listens there.
Result<Backup> ask_for_backup(const std::string& home, const Principal& by, const std::string& folder);

// Of a home that this process has open. Null, with a warning in the log, when nobody can reach it.
std::unique_ptr<Control> open_control(Home& home);

Result<Json> ask_for_budget(const std::string& home, std::optional<int64_t> bytes);

}  // namespace varve

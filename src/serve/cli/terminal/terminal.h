// Terminal: lines from the user, edited when it is a person's screen, and Ctrl-C as an event instead of an
// end.
#pragma once

#include <csignal>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>

#include "serve/cli/terminal/line_editor.h"

namespace varve {

class Terminal {
 public:
  explicit Terminal(int in_fd);  // one in a process: it owns the signals of catch_interrupts()
  ~Terminal();
  Terminal(const Terminal&) = delete;

  bool is_tty() const { return tty_; }
  // Until now Ctrl-C ends the program, as everywhere.
  void catch_interrupts(std::initializer_list<int> signals = {SIGINT});

  enum class Read { line, end, interrupted };
  static constexpr size_t kMaxLine = 2 << 20;
  // Without its newline; what is beyond kMaxLine of it is dropped. `prompt` is shown to a person only.
  Read read_line(std::string& line, std::string_view prompt = "");

 private:
  Read read_plain(std::string& line);
  Read edit(std::string& line, std::string_view prompt);
  bool read_more(bool& interrupted);  // false: the end of the input, or interrupted
  friend class InterruptWatch;
  int in_fd_;
  bool tty_;
  int wake_[2] = {-1, -1};  // the signal handler writes, whoever waits reads
  std::string ahead_;       // read but not yet asked for
  LineEditor editor_;
};

// While it lives, Ctrl-C calls `act` (on another thread); the second one also calls `again`.
class InterruptWatch {
 public:
  InterruptWatch(Terminal& terminal, std::function<void()> act, std::function<void()> again);
  ~InterruptWatch();

 private:
  int stop_[2];
  std::thread thread_;
};

// For a person's screen: control characters, which could move the cursor or rename the window, become spaces.
std::string printable(std::string_view text);

}  // namespace varve

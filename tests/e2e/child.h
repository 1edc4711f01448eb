// Child: the program as a process of its own, with pipes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace varve {

class Child {
 public:
  // `screen`: it sits at a terminal of its own, and what it says arrives as one stream.
  Child(const std::string& program, const std::vector<std::string>& words, bool screen = false);
  ~Child();  // kills what still runs
  Child(const Child&) = delete;

  bool say(const std::string& line);                      // false: it has ended
  bool hear(std::string& line, int timeout_ms = 120000);  // false: no line came
  bool hear_any(int timeout_ms = 120000);                 // waits for a first byte; it is heard again
  void signal(int number);
  void stop_listening();                // closes our end of its output
  int64_t peak_resident_bytes() const;  // VmHWM, while it runs
  double cpu_seconds() const;           // that it has used, while it runs
  struct End {
    int exit_code = -1;  // 128 + signal when killed
    bool dumped_core = false;
    std::string out, err;
  };
  End finish(const std::string& last_words = "", int timeout_ms = 120000);  // closes its input and waits

 private:
  bool read_more(int timeout_ms);  // false: the end, or nothing came
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;
  std::string ahead_, errors_;
};

// Runs to the end.
Child::End run_child(const std::string& program, const std::vector<std::string>& words,
                     const std::string& input = "");

}  // namespace varve

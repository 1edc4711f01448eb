#include "serve/cli/terminal/terminal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

namespace varve {
namespace {

struct Pipe {
  int ends[2];
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  ~Pipe() {
    close(ends[0]);
    shut();
  }
  void say(std::string_view text) {
    EXPECT_EQ(write(ends[1], text.data(), text.size()), ssize_t(text.size()));
  }
  void shut() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
};

TEST(Terminal, reads_lines_and_a_last_one_without_newline) {
  Pipe pipe;
  Terminal terminal(pipe.ends[0]);
  pipe.say("one\n\ntwo");
  pipe.shut();
  std::string line;
  EXPECT_EQ(terminal.read_line(line), Terminal::Read::line);
  EXPECT_EQ(line, "one");
  EXPECT_EQ(terminal.read_line(line), Terminal::Read::line);
  EXPECT_EQ(line, "");
  EXPECT_EQ(terminal.read_line(line), Terminal::Read::line);
  EXPECT_EQ(line, "two");
  EXPECT_EQ(terminal.read_line(line), Terminal::Read::end);
  EXPECT_FALSE(terminal.is_tty());
}

TEST(Terminal, an_interrupt_ends_the_waiting) {
  Pipe pipe;
  Terminal terminal(pipe.ends[0]);
  terminal.catch_interrupts();
  raise(SIGINT);
  std::string line;
  EXPECT_EQ(terminal.read_line(line), Terminal::Read::interrupted);
  pipe.say("still here\n");
  EXPECT_EQ(terminal.read_line(line), Terminal::Read::line);
  EXPECT_EQ(line, "still here");
}

TEST(Terminal, a_watch_hears_the_first_interrupt_and_those_after_it) {
  Pipe pipe;
  Terminal terminal(pipe.ends[0]);
  terminal.catch_interrupts();
  std::atomic<int> first = 0, later = 0;
  {
    InterruptWatch watch(
        terminal, [&] { ++first; }, [&] { ++later; });
    raise(SIGINT);
    while (first == 0) usleep(1000);
    raise(SIGINT);
    while (later == 0) usleep(1000);
  }
  EXPECT_EQ(first, 1);
  EXPECT_EQ(later, 1);
}

TEST(Terminal, control_characters_never_reach_the_screen) {
  EXPECT_EQ(printable("a\x1b[31mred\tb\nc\x7f\r"), "a [31mred\tb\nc  ");
  EXPECT_EQ(printable("caf\u00e9 \u0085x"), "caf\u00e9  x");
}

}  // namespace
}  // namespace varve

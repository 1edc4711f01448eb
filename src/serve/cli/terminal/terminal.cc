#include "serve/cli/terminal/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>

#include "core/base/check.h"

namespace varve {
namespace {

volatile sig_atomic_t interrupt_fd = -1;  // all that a signal handler may reach

void on_interrupt(int) {
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = write(interrupt_fd, "!", 1);
  errno = saved;
}

void make_pipe(int (&ends)[2]) {
  CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "no file descriptors are left");
}

// Waits for either; true when `first` has news.
bool wait_for(int first, int second) {
  pollfd both[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
  while (poll(both, 2, -1) < 0 && errno == EINTR) {
  }
  return both[0].revents != 0;
}

// Keys one by one and unseen, while it lives; Ctrl-C stays a signal.
class RawKeys {
 public:
  explicit RawKeys(int fd) : fd_(fd) {
    tcgetattr(fd, &before_);
    termios raw = before_;
    raw.c_iflag &= ~tcflag_t(ICRNL | IXON);
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO);
    tcsetattr(fd, TCSADRAIN, &raw);
  }
  ~RawKeys() { tcsetattr(fd_, TCSADRAIN, &before_); }
  RawKeys(const RawKeys&) = delete;

 private:
  int fd_;
  termios before_;
};

int columns(int fd) {
  winsize size = {};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void show(std::string_view text) {  // on the screen that the keys belong to
  std::cout << text << std::flush;
}

void drain(int fd) {
  char bytes[64];
  while (read(fd, bytes, sizeof(bytes)) > 0) {
  }
}

}  // namespace

Terminal::Terminal(int in_fd) : in_fd_(in_fd), tty_(isatty(in_fd) != 0) {
  make_pipe(wake_);
}

Terminal::~Terminal() {
  if (interrupt_fd == wake_[1]) {
    for (const int number : {SIGINT, SIGTERM}) std::signal(number, SIG_DFL);
  }
  close(wake_[0]);
  close(wake_[1]);
}

void Terminal::catch_interrupts(std::initializer_list<int> signals) {
  interrupt_fd = wake_[1];
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;  // files are written to the end
  for (const int number : signals) sigaction(number, &action, nullptr);
}

Terminal::Read Terminal::read_line(std::string& line, std::string_view prompt) {
  line.clear();
  return tty_ ? edit(line, prompt) : read_plain(line);
}

bool Terminal::read_more(bool& interrupted) {
  for (;;) {
    interrupted = wait_for(wake_[0], in_fd_);
    if (interrupted) drain(wake_[0]);
    if (interrupted) return false;
    char bytes[4096];
    const ssize_t got = read(in_fd_, bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got > 0) ahead_.assign(bytes, size_t(got));
    return got > 0;
  }
}

Terminal::Read Terminal::read_plain(std::string& line) {
  for (;;) {
    const size_t newline = ahead_.find('\n');
    const size_t take = newline == std::string::npos ? ahead_.size() : newline;
    line.append(ahead_, 0, std::min(take, kMaxLine - line.size()));
    ahead_.erase(0, newline == std::string::npos ? take : take + 1);
    if (newline != std::string::npos) return Read::line;
    bool interrupted = false;
    if (read_more(interrupted)) continue;
    return interrupted ? Read::interrupted : line.empty() ? Read::end : Read::line;
  }
}

Terminal::Read Terminal::edit(std::string& line, std::string_view prompt) {
  const RawKeys raw(in_fd_);
  editor_.clear();
  for (;;) {
    while (!ahead_.empty()) {
      const LineEditor::Event event = editor_.feed(ahead_[0]);
      ahead_.erase(0, 1);
      if (event == LineEditor::Event::none) continue;
      show(editor_.screen(prompt, columns(in_fd_)) + "\r\n");
      if (event == LineEditor::Event::end) return Read::end;
      line = editor_.take();
      return Read::line;
    }
    show(editor_.screen(prompt, columns(in_fd_)));
    bool interrupted = false;
    if (!read_more(interrupted)) return interrupted ? Read::interrupted : Read::end;
  }
}

InterruptWatch::InterruptWatch(Terminal& terminal, std::function<void()> act, std::function<void()> again) {
  make_pipe(stop_);
  drain(terminal.wake_[0]);  // what was pressed before is not meant
  thread_ = std::thread([this, fd = terminal.wake_[0], act = std::move(act), again = std::move(again)] {
    for (int times = 0; wait_for(fd, stop_[0]); ++times) {
      drain(fd);
      times == 0 ? act() : again();
    }
  });
}

InterruptWatch::~InterruptWatch() {
  [[maybe_unused]] const ssize_t written = write(stop_[1], "!", 1);
  thread_.join();
  close(stop_[0]);
  close(stop_[1]);
}

std::string printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = uint8_t(text[i]);
    const bool c1 = c == 0xC2 && i + 1 < text.size() && uint8_t(text[i + 1]) < 0xA0;  // U+0080 to U+009F
    if (c1) ++i;
    out += c1 || c == 0x7F || (c < ' ' && c != '\n' && c != '\t') ? ' ' : text[i];
  }
  return out;
}

}  // namespace varve

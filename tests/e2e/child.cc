#include "tests/e2e/child.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "core/base/check.h"

namespace varve {

Child::Child(const std::string& program, const std::vector<std::string>& words, bool screen) {
  std::signal(SIGPIPE, SIG_IGN);
  int in[2], out[2], err[2], keys = -1;
  CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0, "no pipes");
  std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_ = screen ? forkpty(&keys, nullptr, nullptr, nullptr) : fork();
  CHECK(pid_ >= 0, "no process can be started");
  if (pid_ == 0) {
    if (!screen) {
      dup2(in[0], 0);
      dup2(out[1], 1);
    }
    dup2(err[1], 2);
    execv(program.c_str(), arguments.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  in_ = in[1], out_ = out[0], err_ = err[0];
  if (screen) {
    close(in_);
    close(out_);
    in_ = keys;
    out_ = fcntl(keys, F_DUPFD_CLOEXEC, 0);
  }
}

Child::~Child() {
  if (in_ >= 0) close(in_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

bool Child::say(const std::string& line) {
  const std::string text = line + "\n";
  for (size_t at = 0; at < text.size();) {
    const ssize_t wrote = write(in_, text.data() + at, text.size() - at);
    if (wrote <= 0) return false;
    at += size_t(wrote);
  }
  return true;
}

bool Child::read_more(int timeout_ms) {
  pollfd both[2] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  if (poll(both, 2, timeout_ms) <= 0) return false;
  char bytes[65536];
  bool more = false;
  for (int i = 0; i < 2; ++i) {
    const ssize_t got = both[i].revents == 0 ? 0 : read(both[i].fd, bytes, sizeof(bytes));
    if (got > 0) (i == 0 ? ahead_ : errors_).append(bytes, size_t(got));
    more |= got > 0;
  }
  return more;
}

bool Child::hear(std::string& line, int timeout_ms) {
  size_t newline;
  while ((newline = ahead_.find('\n')) == std::string::npos) {
    if (!read_more(timeout_ms)) return false;
  }
  line = ahead_.substr(0, newline);
  ahead_.erase(0, newline + 1);
  return true;
}

bool Child::hear_any(int timeout_ms) {
  while (ahead_.empty()) {
    if (!read_more(timeout_ms)) return false;
  }
  return true;
}

void Child::signal(int number) {
  kill(pid_, number);
}

void Child::stop_listening() {
  close(out_);
  out_ = -1;
}

double Child::cpu_seconds() const {
  std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
  std::string word;
  double ticks = 0;
  for (int i = 1; i <= 15 && stat >> word; ++i) {  // 14 and 15: of user and system
    if (i >= 14) ticks += std::atof(word.c_str());
  }
  return ticks / double(sysconf(_SC_CLK_TCK));
}

int64_t Child::peak_resident_bytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::atoll(line.c_str() + 6) * 1024;
  }
  return 0;
}

Child::End Child::finish(const std::string& last_words, int timeout_ms) {
  if (!last_words.empty()) say(last_words);
  close(in_);
  in_ = -1;
  while (read_more(timeout_ms)) {
  }
  int status = 0;
  for (int i = 0; i < 500 && pid_ > 0; ++i) {
    if (waitpid(pid_, &status, WNOHANG) == pid_) pid_ = -1;
    if (pid_ > 0) usleep(10000);
  }
  End end;
  end.dumped_core = pid_ < 0 && WCOREDUMP(status);
  end.exit_code = pid_ > 0 ? -1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  end.out = std::move(ahead_);
  end.err = std::move(errors_);
  return end;
}

Child::End run_child(const std::string& program, const std::vector<std::string>& words,
                     const std::string& input) {
  Child child(program, words);
  return child.finish(input);
}

}  // namespace varve

#include "bench/macro/cell.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace varve::bench {
namespace {

bool write_word(const std::string& path, const std::string& word) {
  std::ofstream out(path);
  out << word;
  out.close();
  return bool(out);
}

// A memory cgroup of either version; removed with it.
class Group {
 public:
  explicit Group(int64_t limit) {
    if (limit <= 0) return;
    const std::string name = "/varve-bench-" + std::to_string(getpid());
    for (const auto& [root, file] : {std::pair("/sys/fs/cgroup/memory", "/memory.limit_in_bytes"),
                                     std::pair("/sys/fs/cgroup", "/memory.max")}) {
      const std::string path = root + name;
      if (mkdir(path.c_str(), 0755) != 0) continue;
      if (write_word(path + file, std::to_string(limit))) {
        path_ = path;
        return;
      }
      rmdir(path.c_str());
    }
  }
  ~Group() {
    for (int tries = 0; !path_.empty() && rmdir(path_.c_str()) != 0 && tries < 50; ++tries) usleep(20000);
  }
  bool holds() const { return !path_.empty(); }
  void enter() const {
    if (holds()) write_word(path_ + "/cgroup.procs", std::to_string(getpid()));
  }

 private:
  std::string path_;
};

}  // namespace

Result<std::string> in_cell(int64_t limit_bytes, bool& enforced, const std::function<std::string()>& work) {
  const Group group(limit_bytes);
  enforced = group.holds();
  int ends[2];
  if (pipe(ends) != 0) return Status(Code::io, "no pipe to a process of its own");
  const pid_t child = fork();
  if (child < 0) return Status(Code::io, "no process of its own");
  if (child == 0) {
    close(ends[0]);
    group.enter();
    const std::string text = work();
    const bool sent = write(ends[1], text.data(), text.size()) == ssize_t(text.size());
    _exit(sent ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char piece[4096];
  for (ssize_t got; (got = read(ends[0], piece, sizeof piece)) > 0;) text.append(piece, size_t(got));
  close(ends[0]);
  int how = 0;
  waitpid(child, &how, 0);
  if (how == 0) return text;
  return Status(Code::io, "a measurement within " + std::to_string(limit_bytes >> 20) + " MiB died");
}

}  // namespace varve::bench

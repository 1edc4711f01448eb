#include "core/base/process.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace varve {
namespace {

int64_t status_line(const std::string& key) {  // "VmHWM:     5120 kB"
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key, 0) == 0) return std::atoll(line.c_str() + key.size()) * 1024;
  }
  return 0;
}

}  // namespace

int64_t resident_bytes() {
  return status_line("VmRSS:");
}
int64_t peak_resident_bytes() {
  return status_line("VmHWM:");
}

int64_t machine_bytes() {
  int64_t bytes = int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  std::ifstream container("/sys/fs/cgroup/memory.max");
  int64_t limit = 0;
  if (container >> limit && limit > 0) bytes = std::min(bytes, limit);  // "max" does not parse: no limit
  return bytes;
}

}  // namespace varve

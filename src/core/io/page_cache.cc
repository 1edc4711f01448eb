#include "core/io/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace varve {
namespace {

double share_of(int fd, size_t bytes) {
  void* const map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return 1;
  const auto page = size_t(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> there((bytes + page - 1) / page);
  const bool told = ::mincore(map, bytes, there.data()) == 0;
  ::munmap(map, bytes);
  if (!told) return 1;
  return double(std::count_if(there.begin(), there.end(), [](unsigned char one) { return one & 1; })) /
         double(there.size());
}

}  // namespace

double cached_share(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 1;
  struct stat about = {};
  const bool file = ::fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0;
  const double share = file ? share_of(fd, size_t(about.st_size)) : 1;
  ::close(fd);
  return share;
}

void read_pages_singly(std::span<const std::byte> mapping) {
  const auto page = size_t(::sysconf(_SC_PAGESIZE)), start = reinterpret_cast<uintptr_t>(mapping.data());
  const size_t skip = (page - start % page) % page;  // a mapping begins with a page
  if (skip >= mapping.size()) return;
  void* const first = const_cast<std::byte*>(mapping.data() + skip);
  static_cast<void>(::madvise(first, mapping.size() - skip, MADV_RANDOM));  // advice: reads are right without
}

}  // namespace varve

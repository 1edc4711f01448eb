// Env over the system calls. Calls that a signal interrupts are repeated; short reads and writes go on.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "core/io/env.h"

namespace varve {
namespace {

Status failed(std::string_view doing, const std::string& path, int error = errno) {
  const Code code = error == ENOENT ? Code::not_found : error == EEXIST ? Code::exists : Code::io;
  return Status(code,
                "cannot " + std::string(doing) + " " + path + ": " + std::generic_category().message(error));
}

template <class Call>
auto repeat(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// A zero byte would cut the name short for the system, which would act on another file than was meant.
Status plain(const std::string& path) {
  if (path.find('\0') != path.npos) return Status(Code::invalid, "a file name with a zero byte");
  return {};
}

Result<Descriptor> open_regular(const std::string& path, int flags) {
  TRY(plain(path));
  // O_NONBLOCK: opening a named pipe must not wait for its other end.
  Descriptor file(repeat([&] { return ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0600); }));
  if (file.fd() < 0) return failed("open", path);
  struct stat found {};
  if (::fstat(file.fd(), &found) != 0) return failed("open", path);
  if (!S_ISREG(found.st_mode)) return Status(Code::io, "cannot open " + path + ": not a regular file");
  return file;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status sync_folder(const std::string& folder) {
  Descriptor opened(repeat([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (opened.fd() < 0) return failed("open", folder);
  // EINVAL: a file system that cannot; there is nothing better to do on it.
  if (repeat([&] { return ::fsync(opened.fd()); }) != 0 && errno != EINVAL) return failed("sync", folder);
  return {};
}

class PosixFile : public File {
 public:
  PosixFile(Descriptor file, std::string path, Open how)
      : file_(std::move(file)),
        path_(std::move(path)),
        direct_(how == Open::direct),
        name_unsynced_(how == Open::create) {}

  Result<int64_t> size() const override {
    struct stat found {};
    if (::fstat(file_.fd(), &found) != 0) return failed("stat", path_);
    return int64_t(found.st_size);
  }

  Status read(int64_t offset, std::span<std::byte> out) const override {
    const int64_t got = TRY(read_up_to(offset, out));
    if (got == int64_t(out.size())) return {};
    return Status(Code::corrupt, path_ + " ends at " + std::to_string(offset + got) + ", too early");
  }

  Result<int64_t> read_up_to(int64_t offset, std::span<std::byte> out) const override {
    int64_t done = 0;
    while (done < int64_t(out.size())) {
      const ssize_t got = repeat(
          [&] { return ::pread(file_.fd(), out.data() + done, out.size() - size_t(done), offset + done); });
      if (got < 0) return failed("read", path_);
      done += got;
      if (got == 0 || (direct_ && done % kDirectBytes != 0)) break;  // its end
    }
    return done;
  }

  Status write(int64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = repeat([&] { return ::pwrite(file_.fd(), bytes.data(), bytes.size(), offset); });
      if (put < 0) return failed("write", path_);
      if (put == 0) return failed("write", path_, EIO);
      bytes = bytes.subspan(size_t(put));
      offset += put;
    }
    return {};
  }

  Status truncate(int64_t size) override {
    if (repeat([&] { return ::ftruncate(file_.fd(), size); }) != 0) return failed("truncate", path_);
    return {};
  }

  Status sync() override {
    if (repeat([&] { return ::fdatasync(file_.fd()); }) != 0) return failed("sync", path_);
    if (name_unsynced_) {  // bytes without a name are lost
      TRY(sync_folder(folder_of(path_)));
      name_unsynced_ = false;
    }
    return {};
  }

 private:
  const Descriptor file_;
  const std::string path_;
  const bool direct_;
  std::atomic<bool> name_unsynced_;
};

class PosixMapping : public Mapping {
 public:
  PosixMapping(void* at, size_t size) : at_(at), size_(size) {}
  ~PosixMapping() override {
    if (size_ > 0) ::munmap(at_, size_);
  }
  std::span<const std::byte> bytes() const override { return {static_cast<const std::byte*>(at_), size_}; }

 private:
  void* const at_;
  const size_t size_;
};

class PosixEnv : public Env {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, Open how) override {
    static constexpr int kFlags[] = {O_RDONLY, O_RDWR | O_NOFOLLOW, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
                                     O_RDONLY | O_DIRECT};
    auto file = open_regular(path, kFlags[static_cast<int>(how)]);
    if (!file.ok() && how == Open::direct && file.code() == Code::io)
      return Status(Code::unsupported, std::string(std::move(file).status().message()));
    Descriptor opened = TRY(std::move(file));
    return std::unique_ptr<File>(new PosixFile(std::move(opened), path, how));
  }

  Result<std::unique_ptr<Mapping>> map(const std::string& path) override {
    Descriptor file = TRY(open_regular(path, O_RDONLY));
    struct stat found {};
    if (::fstat(file.fd(), &found) != 0) return failed("stat", path);
    const auto size = static_cast<size_t>(found.st_size);
    if (size == 0) return std::unique_ptr<Mapping>(new PosixMapping(nullptr, 0));  // mmap refuses 0 bytes
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd(), 0);
    if (at == MAP_FAILED) return failed("map", path);
    return std::unique_ptr<Mapping>(new PosixMapping(at, size));
  }

  Result<bool> exists(const std::string& path) override {
    TRY(plain(path));
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return failed("stat", path);
  }

  Result<std::vector<std::string>> list(const std::string& folder) override {
    TRY(plain(folder));
    const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(folder.c_str()), ::closedir);
    if (!opened) return failed("list", folder);
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(opened.get());
      if (!entry) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return failed("list", folder);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status make_folder(const std::string& path) override {
    TRY(plain(path));
    for (size_t end = path.find('/', 1); end != path.npos; end = path.find('/', end + 1)) {
      TRY(make_one(path.substr(0, end)));
    }
    return make_one(path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    TRY(plain(from));
    TRY(plain(to));
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", from);
    TRY(sync_folder(folder_of(to)));
    return folder_of(from) == folder_of(to) ? Status() : sync_folder(folder_of(from));
  }

  Status remove(const std::string& path) override {
    TRY(plain(path));
    if (::remove(path.c_str()) != 0) return failed("remove", path);
    return sync_folder(folder_of(path));
  }

  Result<std::unique_ptr<File>> lock(const std::string& path) override {
    Descriptor file = TRY(open_regular(path, O_RDWR | O_CREAT | O_NOFOLLOW));
    if (repeat([&] { return ::flock(file.fd(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return failed("lock", path);
      return Status(Code::conflict, path + " is locked: another process uses it");
    }
    return std::unique_ptr<File>(new PosixFile(std::move(file), path, Open::write));
  }

 private:
  static Status make_one(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == 0) return sync_folder(folder_of(path));
    const int error = errno;
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return {};
    // Something else has the name: Code::io, since no race was lost.
    return failed("make folder", path, error == EEXIST ? ENOTDIR : error);
  }
};

}  // namespace

Env& posix_env() {
  static PosixEnv env;
  return env;
}

}  // namespace varve

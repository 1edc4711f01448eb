// Files that are nothing but bytes in this process: for tests that write many of them. Folders and locks are
// not here.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>

#include "core/io/env.h"

namespace varve {

class MemoryEnv : public Env {
 public:
  using Bytes = std::vector<std::byte>;

  Bytes& bytes(const std::string& path) { return *at(path); }  // made when absent

  Result<std::unique_ptr<File>> open(const std::string& path, Open how) override {
    if (how == Open::create && files_.count(path)) return Status(Code::io, path + ": exists");
    if (how != Open::create && !files_.count(path)) return Status(Code::not_found, path);
    return std::unique_ptr<File>(new Held(at(path)));
  }
  Result<std::unique_ptr<Mapping>> map(const std::string& path) override {
    if (!files_.count(path)) return Status(Code::not_found, path);
    return std::unique_ptr<Mapping>(new Seen(at(path)));
  }
  Result<bool> exists(const std::string& path) override { return files_.count(path) > 0; }
  Status rename(const std::string& from, const std::string& to) override {
    if (!files_.count(from)) return Status(Code::not_found, from);
    files_[to] = files_[from];
    files_.erase(from);
    return {};
  }
  Status remove(const std::string& path) override {
    return files_.erase(path) > 0 ? Status() : Status(Code::not_found, path);
  }
  Result<std::vector<std::string>> list(const std::string&) override { return none(); }
  Status make_folder(const std::string&) override { return none(); }
  Result<std::unique_ptr<File>> lock(const std::string&) override { return none(); }

 private:
  using Shared = std::shared_ptr<Bytes>;
  static Status none() { return Status(Code::unsupported, "these are files alone"); }
  Shared at(const std::string& path) {
    Shared& file = files_[path];
    if (file == nullptr) file = std::make_shared<Bytes>();
    return file;
  }

  struct Seen : Mapping {
    explicit Seen(Shared of) : file(std::move(of)) {}
    std::span<const std::byte> bytes() const override { return *file; }
    Shared file;
  };
  struct Held : File {
    explicit Held(Shared of) : file(std::move(of)) {}
    Result<int64_t> size() const override { return int64_t(file->size()); }
    Status read(int64_t offset, std::span<std::byte> out) const override {
      if (offset + int64_t(out.size()) > int64_t(file->size())) return Status(Code::corrupt, "a short file");
      std::copy_n(file->begin() + offset, out.size(), out.begin());
      return {};
    }
    Status write(int64_t offset, std::span<const std::byte> bytes) override {
      file->resize(std::max(file->size(), size_t(offset) + bytes.size()));
      std::copy(bytes.begin(), bytes.end(), file->begin() + offset);
      return {};
    }
    Status truncate(int64_t size) override {
      file->resize(size_t(size));
      return {};
    }
    Status sync() override { return {}; }
    Shared file;
  };

  std::map<std::string, Shared> files_;
};

}  // namespace varve

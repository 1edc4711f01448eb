// Files that appear whole or not at all.
#include <algorithm>

#include "core/base/check.h"
#include "core/io/env.h"

namespace varve {
namespace {

// Temporary names are the final name, this, and a number: the first that is free. No name is ever reused
// while somebody may write to it, so two writers cannot commit each other's bytes.
constexpr std::string_view kSuffix = ".new-";
constexpr int kNames = 100;

bool leftover(std::string_view name) {
  const size_t at = name.rfind(kSuffix);
  if (at == name.npos) return false;
  const std::string_view number = name.substr(at + kSuffix.size());
  return !number.empty() && number.size() <= 2 && number.find_first_not_of("0123456789") == number.npos;
}

class HeldBytes : public File {
 public:
  explicit HeldBytes(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<int64_t> size() const override { return int64_t(bytes_.size()); }
  Status read(int64_t offset, std::span<std::byte> out) const override {
    if (offset < 0 || offset > int64_t(bytes_.size()) || out.size() > bytes_.size() - size_t(offset))
      return Status(Code::corrupt, "these bytes end too early");
    std::copy_n(reinterpret_cast<const std::byte*>(bytes_.data()) + offset, out.size(), out.begin());
    return {};
  }
  Status write(int64_t, std::span<const std::byte>) override { return refused(); }
  Status truncate(int64_t) override { return refused(); }
  Status sync() override { return {}; }

 private:
  static Status refused() { return Status(Code::unsupported, "these bytes can only be read"); }
  std::string bytes_;
};

}  // namespace

Result<int64_t> File::read_up_to(int64_t offset, std::span<std::byte> out) const {
  const int64_t there = std::clamp<int64_t>(TRY(size()) - offset, 0, int64_t(out.size()));
  TRY(read(offset, out.first(size_t(there))));
  return there;
}

std::unique_ptr<File> file_of(std::string bytes) {
  return std::make_unique<HeldBytes>(std::move(bytes));
}

Replacement::Replacement(Env* env, std::string path, std::string temporary, std::unique_ptr<File> file)
    : env_(env), path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

Replacement::~Replacement() {
  if (!file_) return;
  file_.reset();
  env_->remove(temporary_).ignore("what stays is a leftover, and remove_leftovers() takes it");
}

Result<Replacement> Replacement::begin(Env& env, std::string path) {
  for (int i = 0; i < kNames; ++i) {
    std::string temporary = path + std::string(kSuffix) + std::to_string(i);
    auto file = env.open(temporary, Open::create);
    if (file.ok()) return Replacement(&env, std::move(path), std::move(temporary), std::move(file).value());
    if (file.code() != Code::exists) return std::move(file).status();
  }
  return Status(Code::exists, "every temporary name for " + path + " is taken; remove " + path +
                                  std::string(kSuffix) + "*");
}

Status Replacement::append(std::span<const std::byte> bytes) {
  CHECK(file_, "append after commit");
  TRY(file_->write(size_, bytes));
  size_ += int64_t(bytes.size());
  return {};
}

Status Replacement::commit() {
  CHECK(file_, "commit twice");
  TRY(file_->sync());
  TRY(env_->rename(temporary_, path_));
  file_.reset();
  return {};
}

Result<std::vector<std::byte>> read_file(Env& env, const std::string& path, int64_t max_bytes) {
  const auto file = TRY(env.open(path, Open::read));
  const int64_t size = TRY(file->size());
  if (size > max_bytes) {
    return Status(Code::invalid, path + " has " + std::to_string(size) + " bytes, more than the " +
                                     std::to_string(max_bytes) + " allowed");
  }
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  TRY(file->read(0, bytes));
  return bytes;
}

Status write_file(Env& env, const std::string& path, std::span<const std::byte> bytes) {
  Replacement file = TRY(Replacement::begin(env, path));
  TRY(file.append(bytes));
  return file.commit();
}

Status remove_leftovers(Env& env, const std::string& folder) {
  for (const std::string& name : TRY(env.list(folder))) {
    if (leftover(name)) TRY(env.remove(folder + "/" + name));
  }
  return {};
}

}  // namespace varve

// Snapshot: an index on disk, in checksummed pieces. It replaces its file only when it is whole. What is
// damaged, of another format or of another build is Code::corrupt, and the reader's owner builds anew.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/io/env.h"

namespace varve {

class SnapshotWriter {
 public:
  static Result<SnapshotWriter> begin(Env& env, std::string path);
  Status put(std::span<const std::byte> bytes);
  template <class T>
  Status number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    return put(std::as_bytes(std::span(&value, 1)));
  }
  Status text(std::string_view text);  // its length, then its bytes
  template <class T>
  Status array(const std::vector<T>& values) {  // its length, then its bytes
    static_assert(std::is_trivially_copyable_v<T>);
    TRY(number(uint64_t(values.size())));
    return put(std::as_bytes(std::span(values)));
  }
  Status commit();  // once; durable afterwards

 private:
  explicit SnapshotWriter(Replacement file) : file_(std::move(file)) {}
  Status flush();
  Replacement file_;
  std::vector<std::byte> piece_;
  int64_t offset_ = 0;
};

class SnapshotReader {
 public:
  static Result<SnapshotReader> open(Env& env, const std::string& path);
  Status get(std::span<std::byte> out);
  template <class T>
  Result<T> number() {
    T value{};
    TRY(get(std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  Result<std::string> text(size_t most);
  template <class T>
  Status array(std::vector<T>& values) {
    const auto count = TRY(number<uint64_t>());
    if (count > uint64_t(left()) / sizeof(T)) return damaged();
    values.resize(size_t(count));
    return get(std::as_writable_bytes(std::span(values)));
  }
  int64_t left() const;     // bytes, at most
  static Status damaged();  // corrupt

 private:
  SnapshotReader(std::unique_ptr<File> file, int64_t size) : file_(std::move(file)), size_(size) {}
  Status next_piece();
  std::unique_ptr<File> file_;
  int64_t size_, offset_ = 0;
  std::vector<std::byte> piece_;
  size_t used_ = 0;
};

}  // namespace varve

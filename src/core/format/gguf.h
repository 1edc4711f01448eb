// GGUF: the file format of quantised models (versions 2 and 3, little-endian), read and written.
//
// The reader trusts nothing: every count, length and offset is checked against the file before it is used,
// tensors lie inside the file and do not overlap, and what is taken for the result is at most the file's
// bytes and 64 MiB.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/status.h"
#include "core/io/env.h"

namespace varve {

enum class GgufType : uint32_t {  // of metadata values; numbers are the format's
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

// A metadata value. Integers are widened (u64 beyond int64 is unsupported), f32 to double; `type` keeps what
// the file said, so that it is written back alike.
struct GgufValue {
  using Strings = std::vector<std::string>;
  using Ints = std::vector<int64_t>;
  using Floats = std::vector<double>;
  GgufType type = GgufType::u32;  // of the value, or of an array's items
  bool array = false;
  std::variant<int64_t, double, bool, std::string, Ints, Floats, Strings>
      held;  // bool arrays are Ints of 0 and 1
  bool operator==(const GgufValue&) const = default;
};

// The element types of tensors; numbers are the format's. Types without a codec here can still be listed.
struct GgufTensor {
  std::string name;
  uint32_t type = 0;           // see codec_of_gguf() in math/codec/codec.h
  std::vector<int64_t> shape;  // as in the file: fastest first ("ne"); 1 to 4 dimensions, each >= 1
  int64_t offset = 0;          // of the first byte, from the beginning of the file
  int64_t bytes = 0;
  int64_t elements() const;
  bool operator==(const GgufTensor&) const = default;
};

// Tensor types from here on are this program's own, far from what GGUF counts; as kOwnTypes of math/codec.
inline constexpr uint32_t kOwnTensorTypes = 0x7661'0000;
// Block geometry of a tensor type: values and bytes of one block. not_found when the type is unknown.
struct GgufBlock {
  int64_t values, bytes;
  std::string_view name;
};
Result<GgufBlock> gguf_block(uint32_t type);
// The bytes of a tensor: invalid when the shape is not 1 to 4 positive dimensions whose rows are whole
// blocks, or when it has more elements or bytes than int64 can count; not_found when the type is unknown.
Result<int64_t> gguf_bytes(uint32_t type, std::span<const int64_t> shape);

class Gguf {
 public:
  // Parses the head of a file. `file` holds the whole file (a mapping); nothing keeps a reference to it.
  // corrupt when the bytes contradict themselves or the file's size, unsupported when they are well and this
  // build cannot read them.
  static Result<Gguf> parse(std::span<const std::byte> file);

  uint32_t version() const { return version_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  int64_t head_bytes() const { return head_bytes_; }  // bytes before the tensor data

  const GgufValue* find(std::string_view key) const;
  const GgufTensor* tensor(std::string_view name) const;

  // Typed reads: invalid (naming the key) when absent or of another kind. Numbers convert where no value is
  // lost.
  Result<int64_t> integer(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string> string(std::string_view key) const;
  Result<std::vector<std::string>> strings(std::string_view key) const;
  Result<std::vector<int64_t>> integers(std::string_view key) const;
  Result<std::vector<double>> numbers(std::string_view key) const;

 private:
  Result<const GgufValue*> need(std::string_view key) const;
  uint32_t version_ = 3;
  int64_t head_bytes_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

// Writes version 3, or 2 for old readers: metadata sorted by key, tensor declarations, the tensors' bytes in
// the order declared. general.alignment is obeyed when set (32 otherwise). What write() accepts,
// Gguf::parse() reads back equal.
class GgufWriter {
 public:
  explicit GgufWriter(uint32_t version = 3) : version_(version) {}  // write() refuses others than 2 and 3
  GgufWriter& set(std::string key, GgufValue value);
  GgufWriter& set(std::string key, std::string value);
  GgufWriter& set(std::string key, const char* value) { return set(std::move(key), std::string(value)); }
  GgufWriter& set(std::string key, uint32_t value);
  GgufWriter& set(std::string key, float value);
  GgufWriter& set(std::string key, bool value);
  GgufWriter& set(std::string key, std::vector<std::string> value);
  // `bytes` must fit type and shape, or write() is invalid. Borrowed until write().
  GgufWriter& add(std::string name, uint32_t type, std::vector<int64_t> shape,
                  std::span<const std::byte> bytes);
  Status write(Env& env, const std::string& path) const;  // through a temporary file: whole or not at all
  Result<std::vector<std::byte>> bytes() const;           // what write() would write

 private:
  using Take = std::function<Status(std::span<const std::byte>)>;
  Status emit(const Take& take) const;
  uint32_t version_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<std::pair<GgufTensor, std::span<const std::byte>>> tensors_;
};

}  // namespace varve

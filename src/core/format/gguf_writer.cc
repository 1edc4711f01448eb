// The GGUF writer. Refuses what the reader would refuse, before a byte is written.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "core/format/gguf_head.h"

namespace varve {
namespace {

class Head {
 public:
  template <class T>
  void number(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  void text(std::string_view value) {
    number<uint64_t>(value.size());
    const auto raw = std::as_bytes(std::span(value));
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

template <class T>
bool put_exactly(Head& head, int64_t value) {
  head.number(T(value));
  return std::in_range<T>(value);
}

bool put(Head& head, GgufType type, int64_t value) {
  switch (type) {
    case GgufType::u8: return put_exactly<uint8_t>(head, value);
    case GgufType::i8: return put_exactly<int8_t>(head, value);
    case GgufType::u16: return put_exactly<uint16_t>(head, value);
    case GgufType::i16: return put_exactly<int16_t>(head, value);
    case GgufType::u32: return put_exactly<uint32_t>(head, value);
    case GgufType::i32: return put_exactly<int32_t>(head, value);
    case GgufType::u64: return put_exactly<uint64_t>(head, value);
    case GgufType::i64: return put_exactly<int64_t>(head, value);
    case GgufType::boolean: return value <= 1 && put_exactly<uint8_t>(head, value);
    default: return false;
  }
}

bool put(Head& head, GgufType type, double value) {
  if (type == GgufType::f64) {
    head.number(value);
    return true;
  }
  const auto narrow = float(value);
  head.number(narrow);
  return type == GgufType::f32 && (double(narrow) == value || std::isnan(value));
}

bool put(Head& head, GgufType type, bool value) {
  head.number(uint8_t(value));
  return type == GgufType::boolean;
}

bool put(Head& head, GgufType type, const std::string& value) {
  head.text(value);
  return type == GgufType::string;
}

template <class T>
bool put(Head& head, GgufType type, const std::vector<T>& items) {
  head.number<uint64_t>(items.size());
  return std::all_of(items.begin(), items.end(), [&](const T& item) { return put(head, type, item); });
}

// False when the value is not what it claims to be.
bool put(Head& head, const GgufValue& value) {
  const bool items = value.held.index() >= 4, integer = value.held.index() == 0;
  if (value.array != items || (integer && value.type == GgufType::boolean)) return false;
  if (value.array) head.number(uint32_t(GgufType::array));
  head.number(uint32_t(value.type));
  return std::visit([&](const auto& held) { return put(head, value.type, held); }, value.held);
}

int64_t aligned(int64_t at, int64_t alignment) {
  return (at + alignment - 1) / alignment * alignment;
}

Status invalid(std::string_view what, std::string_view name) {
  return Status(Code::invalid, "writing GGUF: " + std::string(what) + " '" + std::string(name) + "'");
}

Status check_tensors(std::span<const GgufTensor> tensors) {
  std::set<std::string_view> names;
  for (const GgufTensor& tensor : tensors) {
    if (tensor.name.empty()) return invalid("a tensor without a name", "");
    if (!names.insert(tensor.name).second) return invalid("two tensors of the name", tensor.name);
    const int64_t wanted = TRY(gguf_bytes(tensor.type, tensor.shape).with("writing tensor " + tensor.name));
    if (wanted != tensor.bytes) return invalid("bytes that do not fit the type and shape of", tensor.name);
  }
  return {};
}

Result<int64_t> alignment_of(const std::map<std::string, GgufValue, std::less<>>& metadata) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return 32;
  const auto* value = std::get_if<int64_t>(&found->second.held);
  if (value && *value >= 8 && *value <= INT32_MAX && std::has_single_bit(uint64_t(*value))) return *value;
  return invalid("no power of two from 8 on:", "general.alignment");
}

}  // namespace

GgufWriter& GgufWriter::set(std::string key, GgufValue value) {
  metadata_.insert_or_assign(std::move(key), std::move(value));
  return *this;
}

GgufWriter& GgufWriter::set(std::string key, std::string value) {
  return set(std::move(key), GgufValue{GgufType::string, false, std::move(value)});
}

GgufWriter& GgufWriter::set(std::string key, uint32_t value) {
  return set(std::move(key), GgufValue{GgufType::u32, false, int64_t(value)});
}

GgufWriter& GgufWriter::set(std::string key, float value) {
  return set(std::move(key), GgufValue{GgufType::f32, false, double(value)});
}

GgufWriter& GgufWriter::set(std::string key, bool value) {
  return set(std::move(key), GgufValue{GgufType::boolean, false, value});
}

GgufWriter& GgufWriter::set(std::string key, std::vector<std::string> value) {
  return set(std::move(key), GgufValue{GgufType::string, true, std::move(value)});
}

GgufWriter& GgufWriter::add(std::string name, uint32_t type, std::vector<int64_t> shape,
                            std::span<const std::byte> bytes) {
  tensors_.push_back({{std::move(name), type, std::move(shape), 0, int64_t(bytes.size())}, bytes});
  return *this;
}

Result<GgufHead> gguf_head(uint32_t version, const std::map<std::string, GgufValue, std::less<>>& metadata,
                           std::span<const GgufTensor> tensors) {
  if (version != 2 && version != 3) {
    return Status(Code::unsupported,
                  "GGUF version " + std::to_string(version) + " cannot be written; 2 and 3 can");
  }
  TRY(check_tensors(tensors));
  const int64_t alignment = TRY(alignment_of(metadata));
  Head head;
  head.number<uint32_t>(0x46554747);  // "GGUF"
  head.number<uint32_t>(version);
  head.number<uint64_t>(tensors.size());
  head.number<uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    head.text(key);
    if (key.empty() || !put(head, value)) return invalid("a value that does not fit its type:", key);
  }
  int64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    head.text(tensor.name);
    head.number(uint32_t(tensor.shape.size()));
    for (int64_t dimension : tensor.shape) head.number(dimension);
    head.number(tensor.type);
    head.number(offset);
    offset = aligned(offset + tensor.bytes, alignment);
  }
  std::vector<std::byte> bytes(head.bytes().begin(), head.bytes().end());
  bytes.resize(size_t(aligned(int64_t(bytes.size()), alignment)));
  return GgufHead{std::move(bytes), alignment};
}

Status GgufWriter::emit(const Take& take) const {
  std::vector<GgufTensor> tensors;
  for (const auto& [tensor, bytes] : tensors_) tensors.push_back(tensor);
  const GgufHead head = TRY(gguf_head(version_, metadata_, tensors));
  TRY(take(head.bytes));
  for (const auto& [tensor, bytes] : tensors_) {
    TRY(take(bytes));
    TRY(take(std::vector<std::byte>(size_t(aligned(tensor.bytes, head.alignment) - tensor.bytes))));
  }
  return {};
}

Status GgufWriter::write(Env& env, const std::string& path) const {
  Replacement file = TRY(Replacement::begin(env, path));
  TRY(emit([&](std::span<const std::byte> bytes) { return file.append(bytes); }));
  return file.commit();
}

Result<std::vector<std::byte>> GgufWriter::bytes() const {
  std::vector<std::byte> all;
  TRY(emit([&](std::span<const std::byte> bytes) {
    all.insert(all.end(), bytes.begin(), bytes.end());
    return Status();
  }));
  return all;
}

}  // namespace varve

// The safetensors reader.
#include "core/format/safetensors.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <tuple>

#include "core/format/json.h"

namespace varve {
namespace {

constexpr uint64_t kLargestHead = 100000000;
constexpr JsonLimits kLimits = {.max_bytes = kLargestHead, .max_depth = 3, .max_items = 2000000};

struct Dtype {
  std::string_view name;
  int64_t bits;
};
constexpr Dtype kDtypes[] = {{"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                             {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
                             {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
                             {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};

Status damaged(const std::string& what) {
  return Status(Code::corrupt, "safetensors, " + what + "; the file is damaged, get it again");
}

Status bad(const std::string& tensor, const std::string& what) {
  return damaged("tensor " + Json(std::string_view(tensor).substr(0, 64)).dump() + ": " + what);
}

// An array of whole numbers from 0 on, or nothing.
bool counts(const Json& from, std::vector<int64_t>& to) {
  if (!from.is_array()) return false;
  to.reserve(from.size());
  for (const Json& one : from.as_array()) {
    if (!one.is_int() || one.as_int() < 0) return false;
    to.push_back(one.as_int());
  }
  return true;
}

Status read_metadata(Json& from, std::map<std::string, std::string>& to) {
  if (!from.is_object()) return damaged("__metadata__ is no object");
  for (auto& [key, value] : from.as_object()) {
    if (!value.is_string()) return damaged("__metadata__ holds something else than strings");
    to.emplace(std::move(key), value.as_string());
  }
  return {};
}

// `begin` and `size`: where the tensors' bytes lie in the file.
Result<SafeTensor> read_tensor(std::string name, const Json& from, int64_t begin, int64_t size) {
  const Json &dtype = from["dtype"], &shape = from["shape"], &offsets = from["data_offsets"];
  SafeTensor made{.name = std::move(name)};
  if (!dtype.is_string()) return bad(made.name, "no dtype");
  if (from.size() != 3) return bad(made.name, "something else than dtype, shape and data_offsets");
  if (!counts(shape, made.shape)) return bad(made.name, "shape is no array of whole numbers");
  std::vector<int64_t> range;
  if (!counts(offsets, range) || range.size() != 2)
    return bad(made.name, "data_offsets are no two whole numbers");
  if (range[0] > range[1] || range[1] > size) {
    return bad(made.name, "data_offsets " + offsets.dump() + " leave the " + std::to_string(size) +
                              " bytes of the file");
  }
  made.dtype = dtype.as_string();
  auto bytes = safetensors_bytes(made.dtype, made.shape);
  if (bytes.code() == Code::not_found)
    return Status(Code::unsupported, std::string(std::move(bytes).status().message()));
  if (!bytes.ok()) return bad(made.name, std::string(std::move(bytes).status().message()));
  if (*bytes != range[1] - range[0]) {
    return bad(made.name, "dtype and shape take " + std::to_string(*bytes) + " bytes, data_offsets say " +
                              std::to_string(range[1] - range[0]));
  }
  made.offset = begin + range[0];
  made.bytes = *bytes;
  return made;
}

// Sorted by place, each tensor begins where the one before ended, and the last ends with the file.
Status check_cover(const std::vector<SafeTensor>& tensors, int64_t begin, int64_t end) {
  int64_t at = begin;
  for (const SafeTensor& one : tensors) {
    if (one.offset != at) return bad(one.name, one.offset < at ? "overlaps another" : "a gap before it");
    at += one.bytes;
  }
  if (at != end) return damaged(std::to_string(end - at) + " bytes after the last tensor");
  return {};
}

}  // namespace

Result<int64_t> safetensors_bits(std::string_view dtype) {
  for (const Dtype& one : kDtypes) {
    if (one.name == dtype) return one.bits;
  }
  return Status(Code::not_found,
                "safetensors has no dtype " + Json(dtype.substr(0, 64)).dump() + " that is known here");
}

Result<int64_t> safetensors_bytes(std::string_view dtype, std::span<const int64_t> shape) {
  int64_t bits = TRY(safetensors_bits(dtype));
  for (int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(bits, dimension, &bits)) {
      return Status(Code::invalid, "a shape with more bits than can be counted");
    }
  }
  if (bits % 8 != 0) return Status(Code::invalid, "a shape that is no whole number of bytes");
  return bits / 8;
}

Result<SafeTensors> SafeTensors::parse(std::span<const std::byte> file) {
  uint64_t head_bytes = 0;
  if (file.size() < sizeof(head_bytes)) return damaged("shorter than 8 bytes");
  std::memcpy(&head_bytes, file.data(), sizeof(head_bytes));
  if (head_bytes > kLargestHead) {
    return Status(Code::corrupt, "not a safetensors file, or a head of " + std::to_string(head_bytes) +
                                     " bytes, more than the 100 MB allowed");
  }
  const auto behind = file.subspan(sizeof(head_bytes));
  if (head_bytes > behind.size())
    return damaged("the head of " + std::to_string(head_bytes) + " bytes is cut short");
  const std::string_view text(reinterpret_cast<const char*>(behind.data()), head_bytes);
  // Nothing may stand before the head: a file that is two formats at once is a trap for one reader of it.
  if (text.empty() || text[0] != '{') return damaged("the head is no JSON object");
  auto head = parse_json(text, kLimits);
  if (!head.ok()) return damaged("head: " + std::string(std::move(head).status().message()));

  SafeTensors made;
  const auto begin = int64_t(sizeof(head_bytes) + head_bytes), end = int64_t(file.size());
  made.tensors_.reserve(head->size());
  for (auto& [name, value] : head->as_object()) {
    if (name == "__metadata__") {
      TRY(read_metadata(value, made.metadata_));
    } else {
      made.tensors_.push_back(TRY(read_tensor(std::move(name), value, begin, end - begin)));
    }
  }
  // Empty tensors share their place with a neighbour and go before it.
  std::sort(made.tensors_.begin(), made.tensors_.end(), [](const SafeTensor& a, const SafeTensor& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  TRY(check_cover(made.tensors_, begin, end));
  made.by_name_.resize(made.tensors_.size());
  std::iota(made.by_name_.begin(), made.by_name_.end(), 0u);
  std::sort(made.by_name_.begin(), made.by_name_.end(),
            [&](uint32_t a, uint32_t b) { return made.tensors_[a].name < made.tensors_[b].name; });
  return made;
}

const SafeTensor* SafeTensors::find(std::string_view name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [&](uint32_t index, std::string_view wanted) { return tensors_[index].name < wanted; });
  if (found == by_name_.end() || tensors_[*found].name != name) return nullptr;
  return &tensors_[*found];
}

}  // namespace varve

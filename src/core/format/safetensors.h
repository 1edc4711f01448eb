// safetensors: named tensors behind a JSON head; the format of adapters and embedding tables. Read and
// written. The reader checks every range against the file: the tensors cover the bytes behind the head
// wholly, without overlap or gap. Duplicates and heads over 100 MB or two million JSON items are refused.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/io/env.h"

namespace varve {

struct SafeTensor {
  std::string name;
  std::string dtype;           // "F32", "F16", "BF16", "I8", ... as in the file
  std::vector<int64_t> shape;  // slowest first; empty for a single value; a dimension may be 0
  int64_t offset = 0;          // from the beginning of the file
  int64_t bytes = 0;
};

class SafeTensors {
 public:
  // Nothing keeps a reference to `file`. corrupt, or unsupported for a dtype that is unknown here.
  static Result<SafeTensors> parse(std::span<const std::byte> file);
  const std::vector<SafeTensor>& tensors() const { return tensors_; }  // in the order of their bytes
  const SafeTensor* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::vector<SafeTensor> tensors_;
  std::vector<uint32_t> by_name_;  // indices of tensors_, sorted by name
  std::map<std::string, std::string> metadata_;
};

// Bits of one element: not_found when the dtype is unknown.
Result<int64_t> safetensors_bits(std::string_view dtype);
// The bytes of a tensor: invalid when they are no whole number or more than int64 can count.
Result<int64_t> safetensors_bytes(std::string_view dtype, std::span<const int64_t> shape);

// Wide elements are written first, so that every tensor is aligned to its elements. What write() accepts,
// SafeTensors::parse() reads back equal.
class SafeTensorsWriter {
 public:
  SafeTensorsWriter& set(std::string key, std::string value);
  SafeTensorsWriter& add(std::string name, std::string dtype, std::vector<int64_t> shape,
                         std::span<const std::byte> bytes);  // borrowed until write()
  Status write(Env& env, const std::string& path) const;

 private:
  std::map<std::string, std::string> metadata_;
  std::vector<std::pair<SafeTensor, std::span<const std::byte>>> tensors_;
};

}  // namespace varve

// safetensors: named tensors behind a JSON head; the format of adapters and embedding tables. Read and
// written. The reader checks every range against the file, refuses overlaps, gaps, duplicates and heads over
// 100 MB.
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
  std::vector<int64_t> shape;  // slowest first
  int64_t offset = 0;          // from the beginning of the file
  int64_t bytes = 0;
};

class SafeTensors {
 public:
  static Result<SafeTensors> parse(std::span<const std::byte> file);
  const std::vector<SafeTensor>& tensors() const { return tensors_; }
  const SafeTensor* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::vector<SafeTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

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

// The fields of a row as bytes, each with its length or presence, so that no two rows give the same.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/hash.h"

namespace varve {

class RowBytes {
 public:
  RowBytes& add(int64_t value) {
    for (int i = 0; i < 8; ++i) bytes_ += char(uint8_t(uint64_t(value) >> (8 * i)));
    return *this;
  }
  RowBytes& add(const std::optional<int64_t>& value) { return add(value ? 1 : 0).add(value.value_or(0)); }
  RowBytes& add(std::string_view text) {
    add(int64_t(text.size()));
    bytes_ += text;
    return *this;
  }
  template <size_t size>
  RowBytes& add(const std::array<uint8_t, size>& value) {
    return add(std::string_view(reinterpret_cast<const char*>(value.data()), size));
  }
  int64_t crc() const { return crc32c(std::as_bytes(std::span(bytes_))); }
  Hash256 hash() const { return sha256(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace varve

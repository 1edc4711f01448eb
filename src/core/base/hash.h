// Hashes: SHA-256 names content (blobs, models, keys); CRC-32C guards records against rot. Both incremental.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace varve {

struct Hash256 {
  std::array<uint8_t, 32> bytes{};
  auto operator<=>(const Hash256&) const = default;
  std::string hex() const;
  static Result<Hash256> from_hex(std::string_view text);  // exactly 64 lower-case digits
};

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256& add(std::span<const std::byte> bytes);
  Sha256& add(std::string_view text);
  Hash256 finish();  // once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Hash256 sha256(std::span<const std::byte> bytes);
Hash256 sha256(std::string_view text);
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before = 0);

// True when equal, in a time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);
// Bytes from the operating system's generator: ids and keys, nothing that must be repeatable.
void secure_random(std::span<std::byte> out);

}  // namespace varve

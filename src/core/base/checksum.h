// A checksum of long pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace varve {

// CRC-32C of the CRCs of the four quarters (the last may be longer), which are made side by side: of long
// pieces three times as quick.
uint32_t crc32c_of_quarters(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace varve

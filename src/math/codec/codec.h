// Codec: one number format, for weights and for KV alike. Bytes in blocks; a block decodes alone, so that a
// tile of a matrix can be read in any order: Y = X W^T and dX = D W both go through decode() of a run of
// blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/registry.h"

namespace varve {

enum class Format : uint8_t;  // math/kernel/format.h

inline constexpr uint32_t kOwnTypes = 0x7661'0000;  // element types from here on GGUF itself does not have

class Codec {
 public:
  virtual ~Codec() = default;
  virtual std::string_view name() const = 0;
  virtual size_t block_values() const = 0;
  virtual size_t block_bytes() const = 0;
  // Of a block, at most; the others are 0.
  virtual size_t kept_values() const { return block_values(); }
  // The element type number of GGUF files, when the format has one.
  virtual std::optional<uint32_t> gguf_type() const { return std::nullopt; }
  // The kernel rows of this format, when it has some; without, everything goes through decode().
  virtual std::optional<Format> format() const { return std::nullopt; }
  // values.size() is a multiple of block_values() and bytes.size() fits it; anything else is a bug of the
  // caller.
  virtual void encode(std::span<const float> values, std::span<std::byte> bytes) const = 0;
  virtual void decode(std::span<const std::byte> bytes,
                      std::span<float> values) const = 0;  // any bytes decode
  // Values [first, ...) of one row, of multiples of 64: for formats whose block is a row, too.
  virtual void decode_part(std::span<const std::byte> row, size_t first, std::span<float> values) const {
    decode(row.subspan(size_t(bytes_for(int64_t(first))), size_t(bytes_for(int64_t(values.size())))), values);
  }
  // Rows are CodedRow (math/kernel/kernel.h), and multiplied as the bf16 that they mean.
  virtual bool coded() const { return false; }

  bool sparse() const { return kept_values() < block_values(); }
  int64_t bytes_for(int64_t values) const {
    return values / int64_t(block_values()) * int64_t(block_bytes());
  }
};

const Registry<Codec>& codecs();
// The shared, immutable instance of a codec without options. not_found lists the known names.
Result<const Codec*> codec_named(std::string_view name);
Result<const Codec*> codec_of_gguf(uint32_t type);

namespace codec {  // one file a method, one line in all.def
using Made = Registry<Codec>::Made;
}

}  // namespace varve

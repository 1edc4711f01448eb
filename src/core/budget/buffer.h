// Buffer: the one way to get many bytes. It books them in the ledger first and gives both back together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/budget/ledger.h"

namespace varve {

// Move-only, 64-byte aligned, zeroed. A Buffer of 0 bytes is empty and valid.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  static Result<Buffer> make(Ledger& ledger, Tag tag,
                             int64_t bytes);  // over_budget, or invalid when negative

  std::span<std::byte> bytes() { return {data_, size_t(size_)}; }
  std::span<const std::byte> bytes() const { return {data_, size_t(size_)}; }
  int64_t size() const { return size_; }

 private:
  Reservation reservation_;
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace varve

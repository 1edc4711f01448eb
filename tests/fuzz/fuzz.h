// What a fuzzer is, and what it may claim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/check.h"

// One input. Anything but returning is a finding: a crash, a CHECK, a leak, too much time or memory.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace varve {

inline std::string_view text_of(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace varve

// PagePack: how a page of a lane that nothing is appended to any more is kept: its 64 keys together, and its
// 64 values. Unlike a Codec it may look at all tokens of the page, and attention may read it as it lies.
//
// Lossy, and a function of the page's rows alone. The newest tokens stay as they were (residual).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/base/registry.h"
#include "math/kernel/kernel.h"

namespace varve {

inline constexpr int32_t kPackTokens = int32_t(kAttendTile);

class PagePack {
 public:
  virtual ~PagePack() = default;
  virtual int32_t residual() const = 0;  // tokens, the newest, that are never packed
  virtual Status fits(int32_t key_dim, int32_t value_dim) const = 0;  // invalid: says what it can store
  virtual int64_t key_bytes(int32_t dim) const = 0;                   // of a page
  virtual int64_t value_bytes(int32_t dim) const = 0;
  // rows: [kPackTokens][dim].
  virtual void encode_keys(std::span<const float> rows, int32_t dim, std::byte* out) const = 0;
  virtual void encode_values(std::span<const float> rows, int32_t dim, std::byte* out) const = 0;
  virtual void decode_keys(const std::byte* from, int32_t dim, float* rows) const = 0;
  virtual void decode_values(const std::byte* from, int32_t dim, float* rows) const = 0;

  struct Queries {
    const float* rows;  // of key_dim values, one after another
    int32_t count;
  };
  // What attention asks of all tokens of a page, as Kernels::score_rows and mix_rows do.
  virtual void score(const std::byte* keys, int32_t dim, Queries queries, float factor,
                     float* scores) const = 0;
  virtual void mix(const std::byte* values, int32_t dim, const float* shares, int32_t count,
                   float* out) const = 0;
};

const Registry<PagePack>& page_packs();

namespace page_pack {  // one file a method, one line in all.def
using Made = Registry<PagePack>::Made;
}

}  // namespace varve

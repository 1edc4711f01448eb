// What the codecs with kernels share: their shape and decode() come from the kernel table, so a codec's file
// is its encode(). Blocks are packed one after another.
#pragma once

#include <array>
#include <cmath>
#include <cstring>
#include <memory>

#include "math/codec/codec.h"
#include "math/kernel/kernel.h"

namespace varve::codec {

// To the nearest integer in [low, high]; NaN is low.
inline int rounded(float value, int low, int high) {
  if (!(value > float(low))) return low;
  return value < float(high) ? int(std::nearbyint(value)) : high;
}

template <Format f>
class KernelCodec : public Codec {
 public:
  std::string_view name() const override { return shape().name; }
  size_t block_values() const override { return shape().values; }
  size_t block_bytes() const override { return shape().bytes; }
  std::optional<uint32_t> gguf_type() const override { return shape().gguf; }
  std::optional<Format> format() const override { return f; }
  void decode(std::span<const std::byte> bytes, std::span<float> values) const override {
    kernels().decode[size_t(f)](bytes.data(), values.size(), values.data());
  }

 private:
  static constexpr const FormatShape& shape() { return kShapes[size_t(f)]; }
};

// encode() as a function of one block.
template <Format f, class Block, void (*encode_block)(const float*, Block&)>
class BlockCodec : public KernelCodec<f> {
 public:
  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::byte* to = bytes.data();
    for (size_t at = 0; at < values.size(); at += this->block_values(), to += sizeof(Block)) {
      Block block{};
      encode_block(values.data() + at, block);
      std::memcpy(to, &block, sizeof(block));
    }
  }
};

// A 16-bit float: encode() is a kernel, too.
template <Format f, void (*Kernels::*kernel)(const float*, size_t, uint16_t*)>
class HalfCodec : public KernelCodec<f> {
 public:
  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    std::array<uint16_t, 256> part;  // the bytes may be unaligned
    for (size_t at = 0; at < values.size(); at += part.size()) {
      const size_t n = std::min(part.size(), values.size() - at);
      (kernels().*kernel)(values.data() + at, n, part.data());
      std::memcpy(bytes.data() + 2 * at, part.data(), 2 * n);
    }
  }
};

template <class Method>
Result<std::unique_ptr<Codec>> make_codec(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Codec>(new Method);
}

}  // namespace varve::codec

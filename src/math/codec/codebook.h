// Codebooks: levels learnt for one weight, four sets of 4, 8 or 16, of which each 32 values use one: JLCM's
// jointly learnt codebooks and mappings (Yvinec et al. 2024), with groups of values where theirs have
// neurons. The sets stand in the file's head, so that each weight has a codec of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "math/codec/level_sets.h"
#include "math/kernel/side.h"

namespace varve {

class Codebook final : public Codec {
 public:
  static constexpr uint32_t kFirst = kOwnTypes + 15;  // GGUF's number of the one of 2 bits
  static size_t bits_of_type(uint32_t type) { return type - kFirst < 3 ? type - kFirst + 2 : 0; }
  // Under which the head of a file has a tensor's sets.
  static std::string key(std::string_view tensor) { return "varve.codebook." + std::string(tensor); }

  // invalid: not 2 to 4 bits, or not four sets of finite numbers. Each set becomes ascending.
  static Result<std::shared_ptr<const Codec>> make(size_t bits, std::vector<float> sets);
  static const Codebook* of(const Codec& codec);  // null: it is another

  std::string_view name() const override;
  size_t block_values() const override { return codec::kSetValues; }
  size_t block_bytes() const override { return codec::set_block_bytes(bits_); }
  std::optional<uint32_t> gguf_type() const override { return kFirst + uint32_t(bits_) - 2; }
  void encode(std::span<const float> values, std::span<std::byte> bytes) const override {
    codec::encode_sets(bits_, sets_, values, bytes);
  }
  void decode(std::span<const std::byte> bytes, std::span<float> values) const override {
    codec::decode_sets(bits_, sets_, bytes, values);
  }
  // Fast products are made of levels in 8 bits, exact when those are whole 127ths of the largest.
  const LevelTable& table() const { return table_; }
  const Grid& grid() const { return grid_; }
  std::span<const float> sets() const { return sets_; }

 private:
  Codebook(size_t bits, std::vector<float> sets);
  const size_t bits_;
  const std::vector<float> sets_;
  const Grid grid_;
  LevelTable table_{};
};

}  // namespace varve

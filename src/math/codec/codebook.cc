#include "math/codec/codebook.h"

#include <algorithm>
#include <cmath>

namespace varve {

Codebook::Codebook(size_t bits, std::vector<float> sets)
    : bits_(bits), sets_(std::move(sets)), grid_(codec::grid_of_sets(bits_, sets_)) {
  float most = 0;
  for (float level : sets_) most = std::max(most, std::abs(level));
  table_.step = most / 127, table_.offset = 128;
  for (size_t i = 0; i < sets_.size(); ++i) {
    const float steps = table_.step > 0 ? std::clamp(sets_[i] / table_.step, -127.f, 127.f) : 0;
    table_.levels[i >> bits_][i & ((1u << bits_) - 1)] = uint8_t(128 + int(std::nearbyint(steps)));
  }
}

Result<std::shared_ptr<const Codec>> Codebook::make(size_t bits, std::vector<float> sets) {
  if (bits < 2 || bits > 4)
    return Status(Code::invalid, "codebooks have 2 to 4 bits, not " + std::to_string(bits));
  const size_t levels = size_t(1) << bits;
  if (sets.size() != codec::kSets * levels)
    return Status(Code::invalid, std::to_string(sets.size()) + " levels are not " +
                                     std::to_string(codec::kSets) + " sets of " + std::to_string(levels));
  if (!std::all_of(sets.begin(), sets.end(), [](float level) { return std::isfinite(level); }))
    return Status(Code::invalid, "a level is no number");
  for (size_t at = 0; at < sets.size(); at += levels)
    std::sort(sets.begin() + ptrdiff_t(at), sets.begin() + ptrdiff_t(at + levels));
  return std::shared_ptr<const Codec>(new Codebook(bits, std::move(sets)));
}

const Codebook* Codebook::of(const Codec& codec) {
  return bits_of_type(codec.gguf_type().value_or(0)) > 0 ? static_cast<const Codebook*>(&codec) : nullptr;
}

std::string_view Codebook::name() const {
  return bits_ == 2 ? "codebook2" : bits_ == 3 ? "codebook3" : "codebook4";
}

}  // namespace varve

#include "math/codec/expansion.h"

#include "math/codec/codebook.h"

namespace varve {
namespace codec {
const LevelTable& bitmod3_levels();
const LevelTable& bitmod4_levels();
}  // namespace codec

std::optional<Expansion> expansion_of(const Codec& codec) {
  constexpr Expanding kSets[] = {Expanding::sets2, Expanding::sets3, Expanding::sets4};
  const uint32_t type = codec.gguf_type().value_or(0);
  if (const size_t bits = Codebook::bits_of_type(type); bits > 0)
    return Expansion(kSets[bits - 2], &Codebook::of(codec)->table());
  switch (type) {
    case kOwnTypes + 1: return Expansion(Expanding::s4_0);
    case kOwnTypes + 2: return Expansion(Expanding::slim2);
    case kOwnTypes + 3: return Expansion(Expanding::sets3, &codec::bitmod3_levels());
    case kOwnTypes + 4: return Expansion(Expanding::sets4, &codec::bitmod4_levels());
    case kOwnTypes + 6: return Expansion(Expanding::dgq4);
    case 41: return Expansion(Expanding::q1_0);
    default: return std::nullopt;
  }
}

bool is_rf8(const Codec& codec) {
  return codec.gguf_type() == kOwnTypes + 5;
}

}  // namespace varve

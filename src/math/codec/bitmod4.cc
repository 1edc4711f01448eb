// bitmod4: BitMoD of 4 bits (bitmod.h): 4.31 bits a value.
#include "math/codec/bitmod.h"

namespace varve::codec {
namespace {

constexpr float kSpecial[] = {
    -6, -5, -4, -3, -2,   -1.5, -1,   -0.5, 0,   0.5, 1,   1.5, 2, 3, 4, 6,  //
    -6, -4, -3, -2, -1.5, -1,   -0.5, 0,    0.5, 1,   1.5, 2,   3, 4, 5, 6,  //
    -8, -6, -4, -3, -2,   -1.5, -1,   -0.5, 0,   0.5, 1,   1.5, 2, 3, 4, 6,  //
    -6, -4, -3, -2, -1.5, -1,   -0.5, 0,    0.5, 1,   1.5, 2,   3, 4, 6, 8,
};

}  // namespace

const LevelTable& bitmod4_levels() {
  return kLevelsOf<4, kSpecial>;
}
const Grid& bitmod4_grid() {
  static const Grid grid = grid_of_sets(4, kSpecial);
  return grid;
}

Made bitmod4(const Spec& spec) {
  return make_codec<SpecialValues<4, kSpecial>>(spec);
}

}  // namespace varve::codec

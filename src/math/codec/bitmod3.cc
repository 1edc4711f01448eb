// bitmod3: BitMoD of 3 bits (bitmod.h): 3.31 bits a value.
#include "math/codec/bitmod.h"

namespace varve::codec {
namespace {

constexpr float kSpecial[] = {
    -4, -3, -2, -1, 0, 1, 2, 4,  //
    -4, -2, -1, 0,  1, 2, 3, 4,  //
    -6, -4, -2, -1, 0, 1, 2, 4,  //
    -4, -2, -1, 0,  1, 2, 4, 6,
};

}  // namespace

const LevelTable& bitmod3_levels() {
  return kLevelsOf<3, kSpecial>;
}
const Grid& bitmod3_grid() {
  static const Grid grid = grid_of_sets(3, kSpecial);
  return grid;
}

Made bitmod3(const Spec& spec) {
  return make_codec<SpecialValues<3, kSpecial>>(spec);
}

}  // namespace varve::codec

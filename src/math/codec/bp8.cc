// bp8: weights in planes of bits (planes.h), 8: 8.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp8(const Spec& spec) {
  return make_codec<Planes<8>>(spec);
}

}  // namespace varve::codec

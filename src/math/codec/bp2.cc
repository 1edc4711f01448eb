// bp2: weights in planes of bits (planes.h), 2: 2.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp2(const Spec& spec) {
  return make_codec<Planes<2>>(spec);
}

}  // namespace varve::codec

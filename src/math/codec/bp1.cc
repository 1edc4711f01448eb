// bp1: weights in planes of bits (planes.h), 1: 1.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp1(const Spec& spec) {
  return make_codec<Planes<1>>(spec);
}

}  // namespace varve::codec

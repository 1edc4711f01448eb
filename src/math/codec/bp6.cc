// bp6: weights in planes of bits (planes.h), 6: 6.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp6(const Spec& spec) {
  return make_codec<Planes<6>>(spec);
}

}  // namespace varve::codec

// bp4: weights in planes of bits (planes.h), 4: 4.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp4(const Spec& spec) {
  return make_codec<Planes<4>>(spec);
}

}  // namespace varve::codec

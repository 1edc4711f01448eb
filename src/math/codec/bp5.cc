// bp5: weights in planes of bits (planes.h), 5: 5.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp5(const Spec& spec) {
  return make_codec<Planes<5>>(spec);
}

}  // namespace varve::codec

// bp3: weights in planes of bits (planes.h), 3: 3.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp3(const Spec& spec) {
  return make_codec<Planes<3>>(spec);
}

}  // namespace varve::codec

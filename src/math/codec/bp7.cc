// bp7: weights in planes of bits (planes.h), 7: 7.25 bits a value.
#include "math/codec/plane_codec.h"

namespace varve::codec {

Made bp7(const Spec& spec) {
  return make_codec<Planes<7>>(spec);
}

}  // namespace varve::codec

#include "math/kernel/generic/generic.h"

namespace varve {

const Kernels& kernels_generic() {
  static const Kernels table = [] {
    Kernels all{};
    all.isa = "generic";
    generic::add_formats(all);
    generic::add_coded(all);
    generic::add_products(all);
    generic::add_rows(all);
    generic::add_tiles(all);
    generic::add_back(all);
    generic::add_attend(all);
    return all;
  }();
  return table;
}

}  // namespace varve

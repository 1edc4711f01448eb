// rsLoRA (Kalajdzievski 2023): LoRA scaled by alpha / sqrt(rank).
#include "learn/form/lora.h"

namespace varve::form {

Made rslora(const Spec& spec) {
  auto made = std::make_unique<Lora>();
  made->rank.root = true;
  TRY(made->rank.read(spec));
  return std::unique_ptr<WeightForm>(std::move(made));
}

}  // namespace varve::form

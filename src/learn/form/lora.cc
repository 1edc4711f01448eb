// LoRA (Hu et al. 2021): w + alpha / rank * b a; b begins at zero.
#include "learn/form/lora.h"

namespace varve::form {

Result<std::unique_ptr<Leaf>> Lora::over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                         Parts& parts) const {
  const Pair pair = add_pair(weight, rank.rank, parts);
  return low_rank_leaf(std::move(base), *pair.a, *pair.b, rank.scale());
}

Status Lora::begin(const Beginning& at) const {
  for (const BaseWeight& weight : at.weights) {
    draw(part_of(at.parts, weight, "lora_a"), at.seed);
    std::ranges::fill(part_of(at.parts, weight, "lora_b").value, 0.f);
  }
  return {};
}

Status Lora::finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger&, Learnt& out) const {
  out.alpha = rank.scale() * float(rank.rank);
  for (const BaseWeight& weight : weights) {
    add_factors(weight, part_of(parts, weight, "lora_a"), part_of(parts, weight, "lora_b"), out);
  }
  return {};
}

Made lora(const Spec& spec) {
  auto made = std::make_unique<Lora>();
  TRY(made->rank.read(spec));
  return std::unique_ptr<WeightForm>(std::move(made));
}

}  // namespace varve::form

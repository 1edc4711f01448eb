// LoRA, and what its relatives take from it.
#pragma once

#include <algorithm>

#include "learn/form/low_rank.h"

namespace varve::form {

struct Lora : WeightForm {
  Rank rank;
  Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                     Parts& parts) const override;
  Status begin(const Beginning& at) const override;
  Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger& ledger,
                Learnt& out) const override;
};

}  // namespace varve::form

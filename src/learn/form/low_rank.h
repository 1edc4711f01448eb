// What forms with factors share: their options, their values at the beginning, and the leaf of a product that
// does not learn.
#pragma once

#include "learn/form/form.h"

namespace varve::form {

struct Rank {
  int32_t rank = 16;
  float alpha = 0;    // 0: twice the rank
  bool root = false;  // by the root of the rank
  Status read(const Spec& spec, bool scaled = true);
  float scale() const;
};

// A leaf over another.
class Over : public Leaf {
 public:
  Over(std::unique_ptr<Leaf> base, std::vector<Part*> parts)
      : base_(std::move(base)), parts_(std::move(parts)) {}
  int32_t rows() const override { return base_->rows(); }
  int32_t cols() const override { return base_->cols(); }
  std::span<Part* const> parts() const override { return parts_; }
  Result<WeightPin> rows_of(int32_t, int32_t) const override {
    return Status(Code::unsupported, "what learns over the embedding or the head would be no table of rows");
  }

 protected:
  Part& part(size_t i) const { return *parts_[i]; }
  std::unique_ptr<Leaf> base_;
  std::vector<Part*> parts_;
};

// base + scale * b a, of which nothing learns.
std::unique_ptr<Leaf> held_product(std::unique_ptr<Leaf> base, const Part& a, const Part& b, float scale);

struct Pair {
  Part *a = nullptr, *b = nullptr;
};
// role.lora_a [rank][cols] and role.lora_b [rows][rank]; learning, or held as role.held_a and role.held_b.
Pair add_pair(const BaseWeight& weight, int32_t rank, Parts& parts);
Pair hold_pair(const BaseWeight& weight, int32_t rank, Parts& parts);
Part& part_of(const Parts& parts, const BaseWeight& weight, std::string_view name);

void draw(Part& a, uint64_t seed);  // He et al. 2015, as LoRA's first factor begins
// Their values as the factors of an adapter.
void add_factors(const BaseWeight& weight, const Part& a, const Part& b, Learnt& out);
// The product of the learnt factors, whose middle is `strengths` (empty: ones), and held_by times that of the
// held ones, as one of both ranks together.
Status add_both(const BaseWeight& weight, const Parts& parts, std::span<const float> strengths, float held_by,
                Ledger& ledger, Learnt& out);

// Rows made orthonormal, one after the other.
void orthonormalize(std::span<float> rows, size_t width);

}  // namespace varve::form

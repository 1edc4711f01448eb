#include "learn/form/low_rank.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/rng.h"
#include "math/kernel/kernel.h"

namespace varve::form {
namespace {

class HeldProduct : public Over {
 public:
  HeldProduct(std::unique_ptr<Leaf> base, const Part& a, const Part& b, float scale)
      : Over(std::move(base), {}), a_(a), b_(b), scale_(scale) {}
  Status forward(Flow& flow, Rows x, Rows y, bool add) const override {
    TRY(base_->forward(flow, x, y, add));
    if (flow.base) return {};
    const int64_t mark = flow.scratch.mark();
    const Rows low = flow.scratch.take(x.count(), a_.rows);
    flow.train.product(x, a_.matrix(), low);
    flow.train.ops().scale(low, scale_);
    flow.train.product(low, b_.matrix(), y, true);
    flow.scratch.release(mark);
    return {};
  }
  Status backward(Flow& flow, Rows x, Rows d, Rows dx, bool add, Sink& sink) const override {
    TRY(base_->backward(flow, x, d, dx, add, sink));
    const int64_t mark = flow.scratch.mark();
    const Rows low = flow.scratch.take(x.count(), a_.rows);
    flow.train.product_back(d, b_.matrix(), low);
    flow.train.ops().scale(low, scale_);
    flow.train.product_back(low, a_.matrix(), dx, true);
    flow.scratch.release(mark);
    return {};
  }
  int64_t scratch_bytes(int32_t rows) const override {
    return base_->scratch_bytes(rows) + Scratch::bytes_for(rows, a_.rows);
  }

 private:
  const Part &a_, &b_;
  float scale_;
};

}  // namespace

Status Rank::read(const Spec& spec, bool scaled) {
  OptionReader reader(spec);
  reader.read("rank", rank, 1, 4096);
  if (scaled) reader.read("alpha", alpha, 1e-6f, 1e6f);
  TRY(reader.done());
  if (alpha == 0) alpha = float(2 * rank);
  return {};
}

float Rank::scale() const {
  return alpha / (root ? std::sqrt(float(rank)) : float(rank));
}

std::unique_ptr<Leaf> held_product(std::unique_ptr<Leaf> base, const Part& a, const Part& b, float scale) {
  return std::make_unique<HeldProduct>(std::move(base), a, b, scale);
}

Pair add_pair(const BaseWeight& weight, int32_t rank, Parts& parts) {
  return {&parts.add(weight.role + ".lora_a", rank, weight.cols),
          &parts.add(weight.role + ".lora_b", weight.rows, rank)};
}

Pair hold_pair(const BaseWeight& weight, int32_t rank, Parts& parts) {
  return {&parts.hold(weight.role + ".held_a", rank, weight.cols),
          &parts.hold(weight.role + ".held_b", weight.rows, rank)};
}

Part& part_of(const Parts& parts, const BaseWeight& weight, std::string_view name) {
  const Part* found = parts.find(weight.role + "." + std::string(name));
  CHECK(found != nullptr, "the parts of a form are those that it added");
  return const_cast<Part&>(*found);
}

void draw(Part& a, uint64_t seed) {
  const double size = std::sqrt(1.0 / (3.0 * a.cols)) * std::numbers::sqrt3;
  for (size_t j = 0; j < a.value.size(); ++j) {
    a.value[j] = float(size * (2 * random_unit({seed, uint64_t(a.index), Site::init}, j) - 1));
  }
}

void add_factors(const BaseWeight& weight, const Part& a, const Part& b, Learnt& out) {
  out.tensors.push_back({weight.role, "lora_a", a.rows, a.cols, a.value});
  out.tensors.push_back({weight.role, "lora_b", b.rows, b.cols, b.value});
}

Status add_both(const BaseWeight& weight, const Parts& parts, std::span<const float> strengths, float held_by,
                Ledger& ledger, Learnt& out) {
  const Part &a = part_of(parts, weight, "lora_a"), &b = part_of(parts, weight, "lora_b");
  const Part &held_a = part_of(parts, weight, "held_a"), &held_b = part_of(parts, weight, "held_b");
  const std::span<float> both_a = TRY(out.room(ledger, a.value.size() + held_a.value.size()));
  const std::span<float> both_b = TRY(out.room(ledger, b.value.size() + held_b.value.size()));
  std::ranges::copy(held_a.value, std::ranges::copy(a.value, both_a.begin()).out);
  const auto r = size_t(a.rows), held = size_t(held_a.rows), cols = size_t(a.cols);
  for (size_t k = 0; k < strengths.size(); ++k) kernels().scale(both_a.data() + k * cols, strengths[k], cols);
  for (size_t i = 0; i < size_t(weight.rows); ++i) {
    float* row = both_b.data() + i * (r + held);
    std::copy_n(b.value.data() + i * r, r, row);
    for (size_t k = 0; k < held; ++k) row[r + k] = held_by * held_b.value[i * held + k];
  }
  out.tensors.push_back({weight.role, "lora_a", a.rows + held_a.rows, a.cols, both_a});
  out.tensors.push_back({weight.role, "lora_b", b.rows, b.cols + held_b.cols, both_b});
  return {};
}

void orthonormalize(std::span<float> rows, size_t width) {
  for (size_t at = 0; at < rows.size(); at += width) {
    float* row = rows.data() + at;
    for (int twice = 0; twice < 2; ++twice) {
      for (size_t before = 0; before < at; before += width) {
        const float along = -kernels().dot(row, rows.data() + before, nullptr, width);
        kernels().mix(&along, 1, rows.data() + before, 0, width, row);
      }
    }
    const double size = kernels().squares(row, 0, width);
    kernels().scale(row, size > 1e-30 ? float(1 / std::sqrt(size)) : 0, width);
  }
}

}  // namespace varve::form

// LoRA-GA (Wang et al. 2024): the factors begin as singular vectors of the first step's gradient g, a as the
// right ones 1 to r, b as the left ones r + 1 to 2 r; their product is taken from the weight, so that the
// model begins as it was. g is never made: with one factor at zero the other's gradient is g seen from it,
// and a few passes of powers find the vectors.
#include <cmath>

#include "core/base/rng.h"
#include "learn/form/eigen.h"
#include "learn/form/lora.h"
#include "math/kernel/kernel.h"

namespace varve::form {
namespace {

// The directions of each weight: 2 r rows of what it reads and of what it writes.
class Search {
 public:
  Search(const Beginning& at, size_t rank) : at_(at), r_(rank) {}

  Status run() {
    TRY(begin());
    for (int power = 0; power < 2; ++power) {
      for (size_t half : {0, 1}) TRY(look_left(half));
      for (size_t i = 0; i < places_.size(); ++i)
        orthonormalize(places_[i].left, size_t(at_.weights[i].rows));
      for (size_t half : {0, 1}) TRY(look_right(half));
      if (power > 0) break;
      for (size_t i = 0; i < places_.size(); ++i)
        orthonormalize(places_[i].right, size_t(at_.weights[i].cols));
    }
    return {};
  }

  // right = left^T g, up to a factor: its small singular value decomposition is that of g.
  void set_factors(float gamma) const {
    for (size_t i = 0; i < places_.size(); ++i) {
      const BaseWeight& weight = at_.weights[i];
      const auto cols = size_t(weight.cols), rows = size_t(weight.rows), n = 2 * r_;
      std::vector<double> square(n * n), values(n);
      for (size_t j = 0; j < n * n; ++j) {
        square[j] = double(kernels().dot(places_[i].right.data() + j / n * cols,
                                         places_[i].right.data() + j % n * cols, nullptr, cols));
      }
      eigen(square, values);
      const float size = float(std::pow(double(rows), 0.25) / std::sqrt(double(gamma)));
      const Part &a = part_of(at_.parts, weight, "lora_a"), &b = part_of(at_.parts, weight, "lora_b");
      std::ranges::fill(a.value, 0.f), std::ranges::fill(b.value, 0.f);
      for (size_t k = 0; k < r_; ++k) {
        for (size_t j = 0; j < n; ++j) {
          const float of_a = float(square[k * n + j]), of_b = float(square[(r_ + k) * n + j]);
          kernels().mix(&of_a, 1, places_[i].right.data() + j * cols, 0, cols, a.value.data() + k * cols);
          for (size_t row = 0; row < rows; ++row) {
            b.value[row * r_ + k] += size * of_b * places_[i].left[j * rows + row];
          }
        }
        const double along = kernels().squares(a.value.data() + k * cols, 0, cols);
        kernels().scale(a.value.data() + k * cols, along > 0 ? size / float(std::sqrt(along)) : 0, cols);
      }
      std::ranges::copy(a.value, part_of(at_.parts, weight, "held_a").value.begin());
      std::ranges::copy(b.value, part_of(at_.parts, weight, "held_b").value.begin());
    }
  }

 private:
  struct Place {
    std::span<float> left, right;
  };

  Status begin() {
    int64_t values = 0;
    for (const BaseWeight& weight : at_.weights) values += int64_t(2 * r_) * (weight.rows + weight.cols);
    room_ = TRY(Buffer::make(at_.ledger, Tag::scratch, values * 4).with("looking at the first gradient"));
    std::span<float> free(reinterpret_cast<float*>(room_.bytes().data()), size_t(values));
    auto next = [&](int32_t width) {
      const auto own = free.first(2 * r_ * size_t(width));
      free = free.subspan(own.size());
      return own;
    };
    for (size_t i = 0; i < at_.weights.size(); ++i) {
      const BaseWeight& weight = at_.weights[i];
      places_.push_back({next(weight.rows), next(weight.cols)});
      for (const char* held : {"held_a", "held_b"})
        std::ranges::fill(part_of(at_.parts, weight, held).value, 0.f);
      for (size_t j = 0; j < places_[i].right.size(); ++j) {
        places_[i].right[j] = float(random_normal({at_.seed, i, Site::init}, j));
      }
      orthonormalize(places_[i].right, size_t(weight.cols));
    }
    return {};
  }

  // left[half] = g right[half]^T: the gradient of b, while a is right[half] and b nothing.
  Status look_left(size_t half) {
    for (size_t i = 0; i < places_.size(); ++i) {
      const Part& a = part_of(at_.parts, at_.weights[i], "lora_a");
      std::ranges::copy(places_[i].right.subspan(half * a.value.size(), a.value.size()), a.value.begin());
      std::ranges::fill(part_of(at_.parts, at_.weights[i], "lora_b").value, 0.f);
    }
    return at_.gradients([&](const Part& part, std::span<const float> gradient) {
      const size_t i = index_of(part, "lora_b");
      if (i == places_.size()) return;
      const auto rows = size_t(part.rows);
      for (size_t row = 0; row < rows; ++row) {
        for (size_t k = 0; k < r_; ++k)
          places_[i].left[(half * r_ + k) * rows + row] = gradient[row * r_ + k];
      }
    });
  }
  // right[half] = left[half] g: the gradient of a, while b is left[half] and a nothing.
  Status look_right(size_t half) {
    for (size_t i = 0; i < places_.size(); ++i) {
      const Part& b = part_of(at_.parts, at_.weights[i], "lora_b");
      std::ranges::fill(part_of(at_.parts, at_.weights[i], "lora_a").value, 0.f);
      const auto rows = size_t(b.rows);
      for (size_t row = 0; row < rows; ++row) {
        for (size_t k = 0; k < r_; ++k) b.value[row * r_ + k] = places_[i].left[(half * r_ + k) * rows + row];
      }
    }
    return at_.gradients([&](const Part& part, std::span<const float> gradient) {
      const size_t i = index_of(part, "lora_a");
      if (i < places_.size()) {
        std::ranges::copy(gradient, places_[i].right.begin() + int64_t(half * gradient.size()));
      }
    });
  }
  size_t index_of(const Part& part, std::string_view name) const {
    size_t i = 0;
    while (i < places_.size() && &part_of(at_.parts, at_.weights[i], name) != &part) ++i;
    return i;
  }

  const Beginning& at_;
  size_t r_;
  Buffer room_;
  std::vector<Place> places_;
};

struct LoraGa : Lora {
  float gamma = 16;

  Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                     Parts& parts) const override {
    if (2 * rank.rank > std::min(weight.rows, weight.cols)) {
      return Status(Code::invalid, "lora_ga looks at twice its rank of " + std::to_string(rank.rank) +
                                       " directions, and it has fewer");
    }
    const Pair held = hold_pair(weight, rank.rank, parts);
    return Lora::over(held_product(std::move(base), *held.a, *held.b, -rank.scale()), weight, parts);
  }
  Status begin(const Beginning& at) const override {
    Search search(at, size_t(rank.rank));
    TRY(search.run());
    search.set_factors(gamma);
    return {};
  }
  Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger& ledger,
                Learnt& out) const override {
    out.alpha = rank.scale() * float(2 * rank.rank);
    for (const BaseWeight& weight : weights) TRY(add_both(weight, parts, {}, -1, ledger, out));
    return {};
  }
};

}  // namespace

Made lora_ga(const Spec& spec) {
  auto made = std::make_unique<LoraGa>();
  made->rank.root = true;
  OptionReader reader(spec);
  reader.read("rank", made->rank.rank, 1, 4096).read("alpha", made->rank.alpha, 1e-6f, 1e6f);
  TRY(reader.read("gamma", made->gamma, 1e-3f, 1e6f).done());
  if (made->rank.alpha == 0) made->rank.alpha = float(2 * made->rank.rank);
  return std::unique_ptr<WeightForm>(std::move(made));
}

}  // namespace varve::form

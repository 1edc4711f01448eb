// What the tests of kernels stand on: every ISA beside the oracle, and what counts as the same bits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "math/kernel/kernel.h"

namespace varve {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline float plain(float value) {
  return std::isnan(value) ? std::nanf("") : value;
}  // a NaN is any NaN
inline bool same_bits(std::vector<float> a, std::vector<float> b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const float one = plain(a[i]), other = plain(b[i]);
    if (std::memcmp(&one, &other, 4) != 0) return false;
  }
  return true;
}
inline bool same_bits(const std::vector<Lanes>& a, const std::vector<Lanes>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Lanes)) == 0);
}
class PerIsa : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = kernels_for(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << "this machine has no " << GetParam();
  }
  std::vector<float> normal(size_t n, float size = 1) {
    std::normal_distribution<float> distribution(0, size);
    std::vector<float> values(n);
    for (float& value : values) value = distribution(random_);
    return values;
  }
  std::vector<unsigned char> bytes(size_t n) {
    std::vector<unsigned char> all(n);
    for (unsigned char& one : all) one = static_cast<unsigned char>(random_());
    return all;
  }
  std::vector<InputPanel> quantized(const std::vector<float>& x) {
    std::vector<InputPanel> panels((x.size() + kPanel - 1) / kPanel);
    table_->quantize(x.data(), x.size(), panels.data());
    return panels;
  }
  std::mt19937 random_{1};
  const Kernels* table_ = nullptr;
  const Kernels& oracle_ = kernels_generic();
};

}  // namespace varve

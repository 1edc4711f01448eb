#include "learn/data/batches.h"

#include <numeric>
#include <string>

#include "core/base/check.h"
#include "core/base/rng.h"

namespace varve {

// place -> a * place + b modulo n, with a coprime to n: enough to mix neighbours, and nothing to store.
uint64_t shuffled(uint64_t seed, uint64_t place, uint64_t n) {
  CHECK(n > 0 && n < uint64_t(1) << 31, "products fit a word");
  const RngKey key{seed, place / n, Site::data_order};
  uint64_t a = 1 + random_bits(key, 0) % n;
  while (std::gcd(a, n) != 1) a = a % n + 1;
  const uint64_t b = random_bits(key, 1) % n;
  return (a * (place % n) + b) % n;
}

Status TokenWindows::fill(int64_t step, int32_t part, TextBatch& out) const {
  if (windows() < 1) {
    return Status(Code::invalid, "the text has " + std::to_string(tokens_.size()) +
                                     " tokens: too few for one of " + std::to_string(shape_.length) +
                                     " and its successor");
  }
  out.clear();
  for (int32_t i = 0; i < shape_.sequences; ++i) {
    const auto place = uint64_t((step * shape_.parts + part) * shape_.sequences + i);
    const auto count = uint64_t(windows());
    const uint64_t window = shape_.in_order ? place % count : shuffled(shape_.seed, place, count);
    const auto first = int64_t(window) * shape_.length;
    for (int32_t j = 0; j < shape_.length; ++j) {
      const int32_t token = tokens_[size_t(first + j)];
      const bool begins = j == 0 || tokens_[size_t(first + j - 1)] == shape_.separator;
      if (begins) out.starts.push_back(int32_t(out.tokens.size()));
      const bool ends = token == shape_.separator;
      out.tokens.push_back(token);
      out.targets.push_back(ends ? -1 : tokens_[size_t(first + j + 1)]);
      out.weights.push_back(ends ? 0.f : 1.f);
    }
  }
  return {};
}

}  // namespace varve

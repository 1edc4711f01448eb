#include <algorithm>
#include <cstring>

#include "math/kernel/format.h"
#include "math/kernel/kernel.h"
#include "memory/recall/index/vector_index.h"

namespace varve {
namespace vector_index {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "memory/recall/index/all.def"
#undef METHOD
}  // namespace vector_index

const Registry<VectorIndex>& vector_indexes() {
  static const Registry<VectorIndex> all = [] {
    Registry<VectorIndex> registry;
#define METHOD(name, summary) registry.add(#name, summary, vector_index::name);
#include "memory/recall/index/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

void dot_rows(bool half, const void* rows, size_t count, std::span<const float> query, float* scores) {
  constexpr size_t kTogether = 64;
  const Kernels& table = kernels();
  const Format format = half ? Format::f16 : Format::f32;
  const size_t row_bytes = query.size() * (half ? 2 : 4);
  const auto* at = static_cast<const unsigned char*>(rows);
  Lanes sums[kTogether];
  for (size_t done = 0; done < count;) {
    const size_t some = std::min(kTogether, count - done);
    std::memset(sums, 0, some * sizeof(Lanes));
    table.stream_f32[size_t(format)](at, row_bytes, some, query.data(), query.size(), sums);
    table.finish(sums, some, scores + done);
    at += some * row_bytes;
    done += some;
  }
}

void keep_best(std::vector<VectorIndex::Near>& all, int32_t k) {
  const auto better = [](const VectorIndex::Near& a, const VectorIndex::Near& b) {
    return a.score != b.score ? a.score > b.score : a.slot < b.slot;
  };
  const size_t kept = std::min(all.size(), size_t(std::max(0, k)));
  std::partial_sort(all.begin(), all.begin() + int64_t(kept), all.end(), better);
  all.resize(kept);
}

}  // namespace varve

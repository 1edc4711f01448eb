// Lists of keys to which queries give like logits. Queries lie elsewhere than keys and look along few
// directions (RetrievalAttention): what keys differ by along these counts, however loud they are along
// others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace varve::kv_select {

// Of queries: the lower triangle of the sum of q q^T, row after row. Empty: none was seen.
using Moments = std::vector<float>;
void add_query(std::span<const float> query, Moments& moments);

struct Parted {
  std::vector<float> means;       // [list][dim], of the keys as they are
  std::vector<uint16_t> list_of;  // each token's
};
// keys [tokens][dim], no fewer tokens than lists. A list may be empty.
Parted part(std::span<const float> keys, size_t dim, size_t lists, const Moments& moments);

}  // namespace varve::kv_select

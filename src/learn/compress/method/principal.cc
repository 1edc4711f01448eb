#include "learn/compress/method/principal.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

constexpr int kPowers = 24;

// Of the inputs of layers [first, end), without the weights of the norms before them, and of the head behind
// the last.
Status add_products(const Draft& draft, const Reading& reading, int32_t first, int32_t end, float* sum) {
  const bool last = end == int32_t(draft.spec().layers.size());
  Look look{.inputs = {}, .gram = true, .layers = last ? 0 : end};
  std::map<std::string, std::string> norms;
  if (last) norms["output"] = "output_norm";
  for (int32_t i = first; i < end; ++i) {
    const std::string at = "blk." + std::to_string(i) + ".";
    norms[at + (draft.find(at + "attn_qkv") != nullptr ? "attn_qkv" : "attn_q")] = at + "attn_norm";
    norms[at + "ffn_up"] = at + "ffn_norm";
  }
  for (const auto& [input, norm] : norms) look.inputs.insert(input);
  SeenByInput all = TRY(observe(reading.model, reading.ops, reading.text, look, draft.ledger(), {}));
  const auto n = size_t(draft.spec().width);
  for (const auto& [input, norm] : norms) {
    const auto found = all.find(input);
    if (found == all.end()) continue;
    auto by = TRY(draft.vector(norm));
    for (float& one : by) one = std::abs(one) > 1e-6f ? 1 / one : 0;
    const float* gram = found->second.gram_values();
    for (size_t i = 0; i < n * n; ++i) sum[i] += gram[i] * by[i / n] * by[i % n];
  }
  return {};
}

}  // namespace

void orthonormal(std::vector<float>& vectors, size_t n) {
  for (size_t i = 0; i * n < vectors.size(); ++i) {
    const std::span<float> own(vectors.data() + i * n, n);
    for (size_t j = 0; j <= i; ++j) {
      const float* other = vectors.data() + j * n;
      double dot = 0;
      for (size_t k = 0; k < n; ++k) dot += double(own[k]) * double(other[k]);
      if (j == i) {
        for (float& one : own) one = dot > 1e-30 ? float(double(one) / std::sqrt(dot)) : 0;
      } else {
        for (size_t k = 0; k < n; ++k) own[k] -= float(dot) * other[k];
      }
    }
  }
}

Result<Buffer> principal_directions(const Draft& draft, const Reading& reading, int32_t count) {
  const int32_t width = draft.spec().width, layers = int32_t(draft.spec().layers.size());
  const int64_t square = int64_t(width) * width;
  Ledger& ledger = draft.ledger();
  Buffer products =
      TRY(Buffer::make(ledger, Tag::scratch, square * 4).with("products of what layers pass on"));
  std::fill_n(floats(products), square, 0.f);
  const int64_t room = (ledger.limit() - ledger.used()) / 3;
  const auto at_once = int32_t(std::clamp<int64_t>(room / (square * 8), 1, layers));
  for (int32_t first = 0; first < layers; first += at_once)
    TRY(add_products(draft, reading, first, std::min(first + at_once, layers), floats(products)));
  Buffer found = TRY(Buffer::make(ledger, Tag::scratch, int64_t(count) * width * 4));
  Scratch scratch = TRY(Scratch::make(ledger, 2 * Scratch::bytes_for(count, width)));
  const Rows from = scratch.take(count, width), to = scratch.take(count, width);
  std::vector<float> vectors(size_t(count) * size_t(width));
  for (size_t i = 0; i < vectors.size(); ++i)  // directions that nothing is likely to miss
    vectors[i] = float((i * 2654435761u >> 7) % 1000) / 500.f - 1.f;
  const Matrix squares{codec_named("f32").value(), products.bytes(), width, width};
  for (int power = 0; power < kPowers; ++power) {
    draft.ops().load(vectors, from);
    draft.ops().matmul(from, squares, to);
    draft.ops().store(to, vectors);
    orthonormal(vectors, size_t(width));
    orthonormal(vectors, size_t(width));  // what nearly lay in the others lies across them only now
  }
  std::copy(vectors.begin(), vectors.end(), floats(found));
  return found;
}

}  // namespace varve

#include "bench/macro/random_llama.h"

#include <algorithm>
#include <cmath>

#include "core/base/rng.h"
#include "core/format/gguf.h"
#include "math/codec/codec.h"

namespace varve::bench {
namespace {

constexpr int64_t kValues = 1 << 16;     // drawn; the same again and again
constexpr int64_t kOddValues = 1048573;  // so that no two rows are alike
constexpr double kDeviation = 0.02;      // of a weight
constexpr double kSpread = 0.5;          // of what neurons need to fire, in deviations of their gate

// Every tensor is a beginning of the same encoded bytes, so the file costs the largest tensor while written.
Result<std::vector<std::byte>> encoded(const Codec& codec, int64_t values, int64_t count) {
  std::vector<float> drawn(static_cast<size_t>(count));
  for (size_t i = 0; i < drawn.size(); ++i)
    drawn[i] = float(kDeviation * random_normal({1, 0, Site::init}, i));
  std::vector<std::byte> some(size_t(codec.bytes_for(count))), all(size_t(codec.bytes_for(values)));
  codec.encode(drawn, some);
  for (size_t at = 0; at < all.size(); at += some.size()) {
    std::copy_n(some.begin(), std::min(some.size(), all.size() - at), all.begin() + int64_t(at));
  }
  return all;
}

void set_metadata(const LlamaShape& shape, GgufWriter& writer) {
  writer.set("general.architecture", std::string("llama"));
  writer.set("llama.block_count", uint32_t(shape.layers));
  writer.set("llama.embedding_length", uint32_t(shape.width));
  writer.set("llama.feed_forward_length", uint32_t(shape.hidden));
  writer.set("llama.context_length", uint32_t(shape.context));
  writer.set("llama.attention.head_count", uint32_t(shape.heads));
  writer.set("llama.attention.head_count_kv", uint32_t(shape.kv_heads));
  writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  if (shape.idle > 0) writer.set("llama.hidden_activation", "relu");
}

// A gate's values are normal over the rows that pass, and so is what they must exceed over the neurons.
std::vector<float> idle_biases(const LlamaShape& shape) {
  double low = -8, high = 8;  // of the quantile
  while (high - low > 1e-9) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < shape.idle ? low : high) = middle;
  }
  const double deviation = kDeviation * std::sqrt(double(shape.width));
  const double mean = low * std::sqrt(1 + kSpread * kSpread);
  std::vector<float> biases(size_t(shape.hidden) * size_t(shape.layers));
  for (size_t i = 0; i < biases.size(); ++i)
    biases[i] = float(-deviation * (mean + kSpread * random_normal({2, 0, Site::init}, i)));
  return biases;
}

}  // namespace

Status write_random_llama(Env& env, const std::string& path, const LlamaShape& shape,
                          std::string_view codec) {
  auto found = codec_named(codec);
  if (!found.ok()) return Status(Code::invalid, std::string(std::move(found).status().message()));
  const Codec& format = **found;
  const int64_t block = int64_t(format.block_values());
  if (!format.gguf_type() || shape.width % block != 0 || shape.hidden % block != 0) {
    return Status(Code::invalid, "width and hidden must be whole blocks of " + std::string(codec));
  }
  const int64_t width = shape.width, keys = width / shape.heads * shape.kv_heads;
  const bool idle = shape.idle > 0;
  if (idle && block > 1)
    return Status(Code::invalid, "idle neurons need f32, f16 or bf16, not " + std::string(codec));
  const int64_t drawn = idle ? kOddValues : kValues, most = width * std::max(shape.vocabulary, shape.hidden);
  const auto bytes = TRY(encoded(format, most + (idle ? drawn : 0), drawn));
  const std::vector<float> biases = idle ? idle_biases(shape) : std::vector<float>();
  int64_t tensors = 0;
  const std::vector<float> ones(size_t(width), 1.0f);
  GgufWriter writer;
  set_metadata(shape, writer);
  auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) {
    writer.add(name + ".weight", *format.gguf_type(), {cols, rows},
               std::span(bytes).subspan(size_t(format.bytes_for(idle ? tensors++ * 7919 % drawn : 0)),
                                        size_t(format.bytes_for(rows * cols))));
  };
  auto norm = [&](const std::string& name) {
    writer.add(name + ".weight", 0, {width}, std::as_bytes(std::span(ones)));
  };
  matrix("token_embd", shape.vocabulary, width);
  norm("output_norm");
  matrix("output", shape.vocabulary, width);
  for (int layer = 0; layer < shape.layers; ++layer) {
    const std::string at = "blk." + std::to_string(layer) + ".";
    norm(at + "attn_norm");
    matrix(at + "attn_q", width, width);
    matrix(at + "attn_k", keys, width);
    matrix(at + "attn_v", keys, width);
    matrix(at + "attn_output", width, width);
    norm(at + "ffn_norm");
    matrix(at + "ffn_gate", shape.hidden, width);
    if (idle)
      writer.add(at + "ffn_gate.bias", 0, {shape.hidden},
                 std::as_bytes(
                     std::span(biases).subspan(size_t(layer) * size_t(shape.hidden), size_t(shape.hidden))));
    matrix(at + "ffn_up", shape.hidden, width);
    matrix(at + "ffn_down", width, shape.hidden);
  }
  return writer.write(env, path);
}

}  // namespace varve::bench

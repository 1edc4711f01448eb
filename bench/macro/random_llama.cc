#include "bench/macro/random_llama.h"

#include <algorithm>
#include <cmath>

#include "core/base/rng.h"
#include "core/format/gguf.h"
#include "math/codec/codec.h"

namespace varve::bench {
namespace {

constexpr int64_t kValues = 1 << 16;  // drawn; the same again and again

// Every tensor is a beginning of the same encoded bytes, so the file costs the largest tensor while written.
Result<std::vector<std::byte>> encoded(const Codec& codec, int64_t values) {
  std::vector<float> drawn(static_cast<size_t>(kValues));
  for (size_t i = 0; i < drawn.size(); ++i) drawn[i] = float(0.02 * random_normal({1, 0, Site::init}, i));
  std::vector<std::byte> some(size_t(codec.bytes_for(kValues))), all(size_t(codec.bytes_for(values)));
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
  const auto bytes = TRY(encoded(format, width * std::max(shape.vocabulary, shape.hidden)));
  const std::vector<float> ones(size_t(width), 1.0f);
  GgufWriter writer;
  set_metadata(shape, writer);
  auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) {
    writer.add(name + ".weight", *format.gguf_type(), {cols, rows},
               std::span(bytes).first(size_t(format.bytes_for(rows * cols))));
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
    matrix(at + "ffn_up", shape.hidden, width);
    matrix(at + "ffn_down", width, shape.hidden);
  }
  return writer.write(env, path);
}

}  // namespace varve::bench

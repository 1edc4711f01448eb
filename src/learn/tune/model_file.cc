#include "learn/tune/model_file.h"

#include <cctype>
#include <cmath>

#include "run/model/arch/family.h"

namespace varve {

Result<DecoderSpec> fresh_spec(const FreshShape& shape) {
  if (shape.heads < 1 || shape.width % shape.heads != 0 || shape.width / shape.heads % 2 != 0) {
    return Status(Code::invalid, "the width " + std::to_string(shape.width) +
                                     " is not an even number of values for " + "each of " +
                                     std::to_string(shape.heads) + " heads");
  }
  if (shape.kv_heads < 1 || shape.heads % shape.kv_heads != 0) {
    return Status(Code::invalid, std::to_string(shape.heads) + " heads are no multiple of " +
                                     std::to_string(shape.kv_heads) + " KV heads");
  }
  if (shape.experts > 0 && (shape.used < 1 || shape.used > shape.experts)) {
    return Status(Code::invalid, "a token cannot use " + std::to_string(shape.used) + " of " +
                                     std::to_string(shape.experts) + " experts");
  }
  const int32_t dim = shape.width / shape.heads;
  DecoderSpec spec{.family = "llama",
                   .width = shape.width,
                   .hidden = shape.hidden,
                   .heads = shape.heads,
                   .kv_heads = shape.kv_heads,
                   .key_dim = dim,
                   .value_dim = dim,
                   .vocabulary = shape.vocabulary,
                   .context = shape.context,
                   .layers = std::vector<LayerSpec>(size_t(shape.layers))};
  spec.attention_scale = 1 / std::sqrt(float(dim));
  spec.activation = shape.activation;
  spec.rope = {.kind = RopeKind::adjacent, .dim = dim, .base = shape.rope_base};
  if (shape.experts > 0) {
    spec.experts = {.count = shape.experts, .used = shape.used, .hidden = shape.hidden, .normalise = true};
    for (LayerSpec& layer : spec.layers) layer.experts = true;
  }
  return spec;
}

Status write_model(const FreshShape& shape, const Parts& parts, const Codec& codec, GgufWriter& writer,
                   Env& env, const std::string& path, Ledger& ledger) {
  writer.set("general.architecture", "llama");
  writer.set("llama.block_count", uint32_t(shape.layers))
      .set("llama.embedding_length", uint32_t(shape.width));
  writer.set("llama.feed_forward_length", uint32_t(shape.hidden));
  writer.set("llama.context_length", uint32_t(shape.context))
      .set("llama.vocab_size", uint32_t(shape.vocabulary));
  writer.set("llama.attention.head_count", uint32_t(shape.heads));
  writer.set("llama.attention.head_count_kv", uint32_t(shape.kv_heads));
  writer.set("llama.attention.layer_norm_rms_epsilon", DecoderSpec{}.epsilon);
  writer.set("llama.rope.dimension_count", uint32_t(shape.width / shape.heads));
  writer.set("llama.rope.freq_base", shape.rope_base);
  if (shape.activation != FreshShape().activation)
    writer.set("llama.hidden_activation", std::string(arch::name_of(shape.activation)));
  if (shape.experts > 0) {
    writer.set("llama.expert_count", uint32_t(shape.experts));
    writer.set("llama.expert_used_count", uint32_t(shape.used));
  }
  int64_t bytes = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].rows > 1 && parts[i].cols % int32_t(codec.block_values()) != 0) {
      return Status(Code::invalid, parts[i].role + " has rows of " + std::to_string(parts[i].cols) +
                                       " values: no whole blocks of " + std::string(codec.name()));
    }
    if (parts[i].rows > 1) bytes += codec.bytes_for(parts[i].size());
  }
  if (!codec.gguf_type())
    return Status(Code::invalid, "a GGUF file cannot hold " + std::string(codec.name()));
  Buffer encoded = TRY(Buffer::make(ledger, Tag::io, bytes).with("encoding the model"));
  int64_t at = 0;
  const auto encode = [&](const Part& part) {
    const auto own = encoded.bytes().subspan(size_t(at), size_t(codec.bytes_for(part.size())));
    codec.encode(part.value, own);
    at += int64_t(own.size());
    return own;
  };
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    const std::string name = part.role.ends_with(".bias") ? part.role : part.role + ".weight";
    if (part.rows == 1) {
      writer.add(name, 0, {part.cols}, std::as_bytes(part.value));
    } else if (part.role.ends_with(".0")) {  // of experts, which lie in stacks
      const std::string role = part.role.substr(0, part.role.size() - 2);
      const std::byte* first = encoded.bytes().data() + at;
      for (int32_t one = 0; one < shape.experts; ++one) encode(*parts.find(role + "." + std::to_string(one)));
      writer.add(role + "_exps.weight", *codec.gguf_type(), {part.cols, part.rows, shape.experts},
                 {first, encoded.bytes().data() + at});
    } else if (shape.experts == 0 || std::isdigit(static_cast<unsigned char>(part.role.back())) == 0) {
      const auto own = encode(part);
      writer.add(name, *codec.gguf_type(), {part.cols, part.rows}, own);
    }
  }
  return writer.write(env, path);
}

}  // namespace varve

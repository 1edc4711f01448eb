// From a GGUF file to a Model: head, spec, tokenizer, template, fingerprint, then the weights.
#include <algorithm>
#include <functional>

#include "core/io/page_cache.h"
#include "run/model/arch/family.h"
#include "run/model/decoder.h"
#include "run/model/fingerprint.h"
#include "run/model/open_streamed.h"

namespace varve {
namespace {

constexpr int64_t kSampleBytes = 4096;  // of each end of each tensor
constexpr int32_t kLeastTokens = 256, kLeastRows = 64;

Status read_tokenizer(const Gguf& gguf, Ledger& ledger, ModelIdentity& identity) {
  const auto kind = gguf.string("tokenizer.ggml.model");
  if (gguf.find("tokenizer.ggml.model") == nullptr ||
      (kind.ok() && (*kind == "none" || *kind == "no_vocab"))) {
    return {};
  }
  identity.tokenizer = TRY(open_tokenizer(gguf, ledger).with("reading the tokenizer"));
  return {};
}

// A template that this build cannot parse costs the chat, not the model.
void read_chat_template(const Gguf& gguf, ModelIdentity& identity) {
  constexpr const char* kKey = "tokenizer.chat_template";
  if (gguf.find(kKey) == nullptr) return;
  auto source = gguf.string(kKey);
  auto parsed = source.ok() ? ChatTemplate::parse(*source) : Result<ChatTemplate>(std::move(source).status());
  if (parsed.ok()) {
    identity.chat_template = std::move(parsed).value();
  } else {
    identity.chat_template_problem = std::move(parsed).status().message();
  }
}

Status read_identity(const Gguf& gguf, const DecoderSpec& spec, Ledger& ledger, ModelIdentity& identity) {
  auto name = gguf.string("general.name");
  identity.name = name.ok() ? *name : spec.family;
  if (auto given = gguf.number("general.sampling.temp"); given.ok() && *given >= 0 && *given <= 100)
    identity.temperature = float(*given);
  TRY(read_tokenizer(gguf, ledger, identity));
  if (identity.tokenizer != nullptr && identity.tokenizer->size() > spec.vocabulary) {
    return Status(Code::invalid, "the tokenizer has " + std::to_string(identity.tokenizer->size()) +
                                     " tokens, the model " + std::to_string(spec.vocabulary));
  }
  read_chat_template(gguf, identity);
  return {};
}

// What a short conversation takes beside the weights: with less, opening the model would be useless.
int64_t least_working_bytes(const DecoderSpec& spec) {
  const int64_t kv_token = int64_t(spec.layers.size()) * (spec.key_width() + spec.value_width()) * 2;
  const int64_t widest =
      std::max(2 * spec.hidden, spec.query_width() + spec.key_width() + spec.value_width());
  return kLeastTokens * kv_token + Scratch::bytes_for(kLeastRows, 2 * spec.width + widest) +
         Scratch::bytes_for(1, spec.vocabulary);
}

using Opened = Result<std::shared_ptr<const Model>>;

using OpenStore = std::function<Result<std::unique_ptr<WeightStore>>(const Gguf& gguf, int64_t working,
                                                                     const Hash256& fingerprint)>;

Opened open(Env& env, const std::string& path, Ledger& ledger, bool to_embed, const OpenStore& open_store) {
  auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + path));
  DecoderSpec spec = TRY(read_decoder_spec(gguf).with("reading " + path));
  if (!spec.causal && !to_embed) {
    return Status(Code::unsupported, path + " is an embedding model (" + spec.family +
                                         ") and cannot write; give it as the setting 'embeddings'");
  }
  ModelIdentity identity;
  TRY(read_identity(gguf, spec, ledger, identity).with("reading " + path));
  identity.fingerprint = model_fingerprint(mapping->bytes(), gguf);
  mapping.reset();  // the weights are read, not mapped
  const int64_t working = to_embed ? 0 : least_working_bytes(spec);
  auto store = TRY(open_store(gguf, working, identity.fingerprint));
  return Decoder::make(std::move(spec), std::move(store), std::move(identity), to_embed)
      .with("opening " + path);
}

}  // namespace

// The head (metadata with tokenizer and template, tensor table), the size, and both ends of each tensor:
// cheap at open, and no two models that anybody keeps beside each other agree in all of it.
Hash256 model_fingerprint(std::span<const std::byte> file, const Gguf& gguf) {
  Sha256 hash;
  hash.add(file.first(size_t(gguf.head_bytes())));
  const int64_t size = int64_t(file.size());
  hash.add(std::as_bytes(std::span(&size, 1)));
  read_pages_singly(file);
  for (const GgufTensor& tensor : gguf.tensors()) {
    const auto bytes = file.subspan(size_t(tensor.offset), size_t(tensor.bytes));
    const size_t sample = size_t(std::min(kSampleBytes, tensor.bytes));
    hash.add(bytes.first(sample)).add(bytes.last(sample));
  }
  return hash.finish();
}

Opened open_model(Env& env, const std::string& path, Ledger& ledger) {
  return open(env, path, ledger, false, [&](const Gguf& gguf, int64_t working, const Hash256&) {
    return open_resident_weights(env, path, gguf, ledger, working);
  });
}

Opened open_streamed_model(Env& env, const std::string& path, Ledger& ledger, int64_t keep_bytes) {
  return open(env, path, ledger, false, [&](const Gguf& gguf, int64_t, const Hash256&) {
    return open_streamed_weights(env, path, gguf, ledger, keep_bytes);
  });
}

Opened open_planned_model(Env& env, const std::string& path, Ledger& ledger) {
  return open_planned_model(env, path, ledger, NeuronUse::firing);
}

Opened open_planned_model(Env& env, const std::string& path, Ledger& ledger, NeuronUse use) {
  return open(env, path, ledger, false, [&](const Gguf& gguf, int64_t, const Hash256& fingerprint) {
    return open_planned_weights(env, path, gguf, ledger, &fingerprint, use);
  });
}

Opened open_embedding_model(Env& env, const std::string& path, Ledger& ledger) {
  return open(env, path, ledger, true, [&](const Gguf& gguf, int64_t working, const Hash256&) {
    return open_resident_weights(env, path, gguf, ledger, working);
  });
}

}  // namespace varve

// Byte-level BPE as GPT-2 and Qwen2 spell it: each byte is a printable character, a merge joins two tokens.
#include "tests/support/tiny_model.h"

#include <cmath>
#include <deque>
#include <set>

#include "core/base/rng.h"
#include "math/codec/codec.h"

namespace varve {
namespace {

constexpr const char* kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

constexpr const char* kWords[] = {
    "user",  "assistant", "system", " the",  " and",  " that",  " was",      " with",  " for",   " you",
    " are",  " have",     " this",  " not",  " what", " is",    " in",       " to",    " of",    " my",
    " name", " like",     " your",  " from", " can",  " there", " about",    " which", " when",  " say",
    "ing",   "ation",     "er",     "ed",    "es",    "ment",   " remember", " their", " would", " hello"};

std::string utf8(uint32_t code) {  // of a code point below 2048
  if (code < 0x80) return std::string(1, char(code));
  return {char(0xC0 | code >> 6), char(0x80 | (code & 63))};
}

// The character that stands for each byte: itself where it is printable, else the next one from U+0100 on.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    tokens.push_back(utf8(printable ? byte : next++));
  }
  return tokens;
}

struct Vocabulary {
  std::vector<std::string> tokens, merges;
};

// Each word is spelled from the left, token by token; what is new becomes a merge, until the tokens are full.
Vocabulary make_vocabulary(size_t size) {
  Vocabulary made{byte_tokens(), {}};
  std::set<std::string> known(made.tokens.begin(), made.tokens.end());
  for (const std::string word : kWords) {
    std::string left = made.tokens[static_cast<unsigned char>(word[0])];
    for (char c : word.substr(1)) {
      const std::string right = made.tokens[static_cast<unsigned char>(c)];
      if (made.tokens.size() < size && known.insert(left + right).second) {
        made.merges.push_back(left + " " + right);
        made.tokens.push_back(left + right);
      }
      left += right;
    }
  }
  while (made.tokens.size() < size)
    made.tokens.push_back("<|unused " + std::to_string(made.tokens.size()) + "|>");
  return made;
}

void set_tokenizer(GgufWriter& writer, const TinyModel& options) {
  Vocabulary vocabulary = make_vocabulary(size_t(options.vocabulary) - 3);
  GgufValue::Ints types;
  for (const std::string& token : vocabulary.tokens)
    types.push_back(token.starts_with("<|") ? 5 : 1);  // unused, normal
  for (const char* control : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    vocabulary.tokens.emplace_back(control);
    types.push_back(3);  // control
  }
  const auto last = uint32_t(options.vocabulary) - 1;
  writer.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", "qwen2");
  writer.set("tokenizer.ggml.tokens", std::move(vocabulary.tokens));
  writer.set("tokenizer.ggml.merges", std::move(vocabulary.merges));
  writer.set("tokenizer.ggml.token_type", GgufValue{GgufType::i32, true, std::move(types)});
  writer.set("tokenizer.ggml.bos_token_id", last - 2).set("tokenizer.ggml.padding_token_id", last - 2);
  writer.set("tokenizer.ggml.eos_token_id", last).set("tokenizer.ggml.add_bos_token", false);
}

void set_shape(GgufWriter& writer, const TinyModel& options) {
  writer.set("general.architecture", "llama").set("general.name", "tiny random llama");
  if (options.relu) writer.set("llama.hidden_activation", "relu");
  const auto set = [&](const char* key, int32_t value) {
    writer.set(std::string("llama.") + key, uint32_t(value));
  };
  set("block_count", options.layers);
  set("context_length", options.context);
  set("embedding_length", options.width);
  set("feed_forward_length", options.hidden);
  set("attention.head_count", options.heads);
  set("attention.head_count_kv", options.kv_heads);
  set("rope.dimension_count", options.width / options.heads);
  set("vocab_size", options.vocabulary);
  writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5f).set("llama.rope.freq_base", 10000.0f);
}

class Weights {
 public:
  Weights(GgufWriter& writer, const TinyModel& options, const Codec& codec)
      : writer_(writer), options_(options), codec_(codec) {}

  void norm(const std::string& name) {
    const std::vector<float> ones(size_t(options_.width), 1.0f);
    const auto bytes = std::as_bytes(std::span(ones));
    writer_.add(name + ".weight", 0, {options_.width}, kept_.emplace_back(bytes.begin(), bytes.end()));
  }
  // Sums of `columns` products keep the size of what goes in.
  void matrix(const std::string& name, int64_t columns, int64_t rows) {
    std::vector<float> values(size_t(columns * rows));
    const RngKey key{options_.seed, kept_.size(), Site::init};
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = float(random_normal(key, i) / std::sqrt(double(columns)));
    auto& bytes = kept_.emplace_back(size_t(codec_.bytes_for(columns * rows)));
    codec_.encode(values, bytes);
    writer_.add(name + ".weight", *codec_.gguf_type(), {columns, rows}, bytes);
  }
  void layer(const std::string& at) {
    const int64_t width = options_.width, kv = width / options_.heads * options_.kv_heads;
    norm(at + "attn_norm");
    matrix(at + "attn_q", width, width);
    matrix(at + "attn_k", width, kv);
    matrix(at + "attn_v", width, kv);
    matrix(at + "attn_output", width, width);
    norm(at + "ffn_norm");
    matrix(at + "ffn_gate", width, options_.hidden);
    matrix(at + "ffn_up", width, options_.hidden);
    matrix(at + "ffn_down", options_.hidden, width);
  }

 private:
  GgufWriter& writer_;
  const TinyModel& options_;
  const Codec& codec_;
  std::deque<std::vector<std::byte>> kept_;  // the writer borrows them
};

Status check(const TinyModel& options, const Codec& codec) {
  const auto block = int64_t(codec.block_values());
  if (!codec.gguf_type()) return Status(Code::invalid, "GGUF has no type for " + options.weights);
  if (options.vocabulary < 259 || options.vocabulary > 512)
    return Status(Code::invalid, "vocabulary: 259 to 512");
  if (options.layers < 1 || options.heads < 1 || options.kv_heads < 1 || options.context < 1 ||
      options.width % (2 * options.heads) != 0 || options.heads % options.kv_heads != 0) {
    return Status(Code::invalid, "layers, heads and width do not fit each other");
  }
  if (options.width < 1 || options.hidden < 1 || options.width % block != 0 || options.hidden % block != 0) {
    return Status(Code::invalid, "width and hidden must be multiples of " + std::to_string(block));
  }
  return {};
}

}  // namespace

Status write_tiny_model(Env& env, const std::string& path, const TinyModel& options) {
  const Codec& codec = *TRY(codec_named(options.weights));
  TRY(check(options, codec));
  GgufWriter writer;
  set_shape(writer, options);
  if (options.tokenizer) set_tokenizer(writer, options);
  if (options.tokenizer && options.chat_template) writer.set("tokenizer.chat_template", kChatMl);
  Weights weights(writer, options, codec);
  weights.matrix("token_embd", options.width, options.vocabulary);
  for (int32_t i = 0; i < options.layers; ++i) weights.layer("blk." + std::to_string(i) + ".");
  weights.norm("output_norm");
  weights.matrix("output", options.width, options.vocabulary);
  return writer.write(env, path);
}

}  // namespace varve

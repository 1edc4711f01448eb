#include "run/embed/static_embedder.h"

#include <cmath>
#include <cstring>

#include "core/budget/buffer.h"
#include "core/format/safetensors.h"
#include "math/codec/codec.h"
#include "run/model/tokenizer.h"

namespace varve {
namespace {

constexpr int64_t kMaxTokenizerBytes = 64 << 20;

class StaticEmbedder : public Embedder {
 public:
  StaticEmbedder(std::string name, std::unique_ptr<Tokenizer> tokenizer, Buffer table, int width)
      : name_(std::move(name)), tokenizer_(std::move(tokenizer)), table_(std::move(table)), width_(width) {}

  std::string_view name() const override { return name_; }
  int width() const override { return width_; }

  Result<std::vector<float>> embed(std::string_view text) const override {
    std::vector<Token> tokens;
    tokenizer_->encode(text, false, tokens);
    const auto unknown = tokenizer_->special().unknown;
    const auto* rows = reinterpret_cast<const float*>(table_.bytes().data());
    const int64_t count = table_.size() / int64_t(sizeof(float)) / width_;
    std::vector<float> sum(static_cast<size_t>(width_));
    for (Token token : tokens) {
      if (token < 0 || token >= count || token == unknown) continue;
      for (int i = 0; i < width_; ++i) sum[size_t(i)] += rows[int64_t(token) * width_ + i];
    }
    double square = 0;
    for (float value : sum) square += double(value) * value;
    const float inverse = square > 0 ? float(1 / std::sqrt(square)) : 0;
    for (float& value : sum) value *= inverse;
    return sum;
  }

 private:
  std::string name_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Buffer table_;  // f32 [tokens][width]
  int width_;
};

Status decode_table(const SafeTensor& tensor, std::span<const std::byte> file, std::span<float> out) {
  const auto bytes = file.subspan(size_t(tensor.offset), size_t(tensor.bytes));
  if (tensor.dtype == "I8") {  // one scale for all, which the final scaling to length 1 cancels
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(static_cast<int8_t>(bytes[i]));
    return {};
  }
  const char* format = tensor.dtype == "F32"    ? "f32"
                       : tensor.dtype == "F16"  ? "f16"
                       : tensor.dtype == "BF16" ? "bf16"
                                                : nullptr;
  if (format == nullptr) {
    return Status(Code::unsupported,
                  "embeddings of type " + tensor.dtype + "; I8, F16, BF16 and F32 are read");
  }
  TRY(codec_named(format))->decode(bytes, out);
  return {};
}

}  // namespace

Result<std::unique_ptr<Embedder>> open_static_embedder(Env& env, const std::string& folder, Ledger& ledger) {
  const auto tokenizer_bytes = TRY(read_file(env, folder + "/tokenizer.json", kMaxTokenizerBytes));
  const std::string_view tokenizer_json(reinterpret_cast<const char*>(tokenizer_bytes.data()),
                                        tokenizer_bytes.size());
  auto tokenizer = TRY(open_tokenizer_json(tokenizer_json, ledger));
  const auto mapping = TRY(env.map(folder + "/model.safetensors"));
  const SafeTensors tensors = TRY(SafeTensors::parse(mapping->bytes()));
  const SafeTensor* table = tensors.find("embeddings");
  if (table == nullptr || table->shape.size() != 2 || table->shape[1] < 1 || table->shape[1] > 65536) {
    return Status(Code::invalid, folder + "/model.safetensors has no two-dimensional tensor 'embeddings'");
  }
  const int64_t values = table->shape[0] * table->shape[1];
  Buffer buffer = TRY(Buffer::make(ledger, Tag::index, values * int64_t(sizeof(float))));
  TRY(decode_table(*table, mapping->bytes(),
                   {reinterpret_cast<float*>(buffer.bytes().data()), size_t(values)}));
  const size_t slash = folder.find_last_of('/', folder.size() - 2);
  std::string name = "static:" + folder.substr(slash == std::string::npos ? 0 : slash + 1);
  return std::unique_ptr<Embedder>(
      new StaticEmbedder(std::move(name), std::move(tokenizer), std::move(buffer), int(table->shape[1])));
}

}  // namespace varve

#include "run/embed/static_embedder.h"

#include "run/embed/embedding_table.h"
#include "run/embed/length_one.h"
#include "run/model/tokenizer.h"

namespace varve {
namespace {

constexpr int64_t kMaxTokenizerBytes = 64 << 20;
constexpr size_t kMostTokens = 512, kMostBytes = 64 * kMostTokens;  // no token takes more, on average

class StaticEmbedder : public Embedder {
 public:
  StaticEmbedder(std::string name, std::unique_ptr<Tokenizer> tokenizer, EmbeddingTable table)
      : name_(std::move(name)), tokenizer_(std::move(tokenizer)), table_(std::move(table)) {}

  std::string_view name() const override { return name_; }
  int width() const override { return table_.width(); }

  Result<std::vector<float>> embed(std::string_view text) const override {
    std::vector<Token> tokens;
    tokenizer_->encode(text.substr(0, kMostBytes), false, tokens);
    const auto unknown = tokenizer_->special().unknown;
    std::vector<float> sum(static_cast<size_t>(width()));
    size_t known = 0;
    for (Token token : tokens) {
      if (token == unknown) continue;
      if (++known > kMostTokens) break;
      TRY(table_.add(token, sum));
    }
    scale_to_length_one(sum);
    return sum;
  }

 private:
  const std::string name_;
  const std::unique_ptr<Tokenizer> tokenizer_;
  const EmbeddingTable table_;
};

}  // namespace

Result<std::unique_ptr<Embedder>> open_static_embedder(Env& env, const std::string& folder, Ledger& ledger) {
  const auto tokenizer_bytes = TRY(read_file(env, folder + "/tokenizer.json", kMaxTokenizerBytes));
  const std::string_view tokenizer_json(reinterpret_cast<const char*>(tokenizer_bytes.data()),
                                        tokenizer_bytes.size());
  auto tokenizer = TRY(open_tokenizer_json(tokenizer_json, ledger));
  EmbeddingTable table =
      TRY(EmbeddingTable::open(env, folder + "/model.safetensors", ledger).with("reading " + folder));
  const size_t slash = folder.find_last_of('/', folder.size() - 2);
  std::string name = "static:" + folder.substr(slash == std::string::npos ? 0 : slash + 1);
  return std::unique_ptr<Embedder>(
      new StaticEmbedder(std::move(name), std::move(tokenizer), std::move(table)));
}

}  // namespace varve

#include "run/embed/encoder_embedder.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <thread>

#include "run/embed/length_one.h"
#include "run/model/model.h"

namespace varve {
namespace {

// What a pass works with. All of it is booked at birth, for the longest text.
struct Workplace {
  Workplace(int threads, Scratch room, std::unique_ptr<KvCache> cache)
      : pool(threads), ops(pool), scratch(std::move(room)), kv(std::move(cache)) {}
  std::mutex mutex;
  ThreadPool pool;
  Ops ops;
  Scratch scratch;
  std::unique_ptr<KvCache> kv;
};

class EncoderEmbedder : public Embedder {
 public:
  EncoderEmbedder(std::shared_ptr<const Model> model, int32_t tokens, std::unique_ptr<Workplace> workplace)
      : model_(std::move(model)),
        most_tokens_(tokens),
        name_("encoder:" + model_->fingerprint().hex().substr(0, 16) + ":" + std::to_string(tokens)),
        workplace_(std::move(workplace)) {}

  std::string_view name() const override { return name_; }
  int width() const override { return model_->shape().width; }

  Result<std::vector<float>> embed(std::string_view text) const override {
    std::vector<float> vector(static_cast<size_t>(width()));
    const std::vector<Token> tokens = tokens_of(text);
    if (tokens.empty()) return vector;
    std::lock_guard lock(workplace_->mutex);
    const int64_t mark = workplace_->scratch.mark();
    Status status = encode(tokens, vector);
    workplace_->scratch.release(mark);
    TRY(std::move(status));
    scale_to_length_one(vector);
    return vector;
  }

 private:
  // Empty where the text gives no token. Its end is cut off, not the mark that ends it.
  std::vector<Token> tokens_of(std::string_view text) const {
    const Tokenizer& tokenizer = *model_->tokenizer();
    std::vector<Token> tokens;
    tokenizer.encode(text, false, tokens);
    if (tokens.empty()) return tokens;
    const size_t marks = as_prompt(tokenizer, {}).size();
    tokens.resize(std::min(tokens.size(), size_t(most_tokens_) - marks));
    return as_prompt(tokenizer, std::move(tokens));
  }

  Status encode(const std::vector<Token>& tokens, std::span<float> out) const {
    Workplace& at = *workplace_;
    const int32_t rows = int32_t(tokens.size());
    const Readout readout = model_->shape().readout;
    std::vector<int32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), 0);
    std::span<const int32_t> outputs(positions);
    if (readout == Readout::first) outputs = outputs.first(1);
    if (readout == Readout::last) outputs = outputs.last(1);
    const Segment whole{0, rows, at.kv.get(), nullptr};
    Rows hidden = at.scratch.take(int32_t(outputs.size()), width());
    TRY(at.kv->truncate(0));
    TRY(at.kv->reserve(rows));
    TRY(model_->hidden({tokens, positions, std::span(&whole, 1), outputs}, at.ops, at.scratch, hidden));
    at.ops.mean(hidden, out);
    return {};
  }

  const std::shared_ptr<const Model> model_;
  const int32_t most_tokens_;
  const std::string name_;
  const std::unique_ptr<Workplace> workplace_;
};

}  // namespace

Result<std::unique_ptr<Embedder>> open_encoder_embedder(Env& env, const std::string& path, Ledger& ledger,
                                                        const EncoderOptions& options) {
  const std::shared_ptr<const Model> model = TRY(open_embedding_model(env, path, ledger));
  if (model->tokenizer() == nullptr) return Status(Code::invalid, path + " has no tokenizer");
  const int32_t tokens = std::min(options.tokens, model->shape().context);
  if (tokens < 4) return Status(Code::invalid, path + " reads too few tokens at once");
  const int64_t bytes =
      model->scratch_bytes(tokens, tokens) + Scratch::bytes_for(tokens, model->shape().width);
  Scratch scratch = TRY(Scratch::make(ledger, bytes).with("booking scratch for " + path));
  const auto pool = TRY(make_kv_pool(ledger, model->shape().kv, {.pack = "f32"}));
  auto kv = TRY(make_kv_cache(pool));
  TRY(kv->reserve(tokens).with("booking KV for " + path));
  const int threads =
      options.threads > 0 ? options.threads : int(std::max(1u, std::thread::hardware_concurrency()));
  auto workplace = std::make_unique<Workplace>(threads, std::move(scratch), std::move(kv));
  return std::unique_ptr<Embedder>(new EncoderEmbedder(model, tokens, std::move(workplace)));
}

}  // namespace varve

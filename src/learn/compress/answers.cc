#include "learn/compress/answers.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

using OnRow = std::function<void(int64_t place, Token next, std::span<float> logits)>;

// Each text as a sequence of its own.
Status read(const Model& model, const std::vector<std::vector<Token>>& texts, const Adapter* adapter,
            Ops& ops, Ledger& ledger, const OnRow& on_row) {
  const int32_t vocabulary = model.shape().vocabulary;
  int32_t most = 0;
  for (const auto& text : texts) most = std::max(most, int32_t(text.size()));
  Scratch scratch =
      TRY(Scratch::make(ledger, model.scratch_bytes(most, most) + Scratch::bytes_for(most, vocabulary)));
  const auto pool = TRY(make_kv_pool(ledger, model.shape().kv, {.pack = "f32"}));
  std::vector<float> logits(static_cast<size_t>(vocabulary));
  int64_t place = 0;
  for (const auto& text : texts) {
    const auto rows = int32_t(text.size()) - 1;
    if (rows < 1) continue;
    const auto kv = TRY(make_kv_cache(pool));
    TRY(kv->reserve(rows));
    std::vector<int32_t> positions;
    for (int32_t i = 0; i < rows; ++i) positions.push_back(i);
    const Segment segment{0, rows, kv.get(), adapter};
    const int64_t mark = scratch.mark();
    Rows out = scratch.take(rows, vocabulary);
    TRY(model.forward({std::span(text).first(size_t(rows)), positions, {&segment, 1}, positions}, ops,
                      scratch, out));
    for (int32_t i = 0; i < rows; ++i) {
      ops.store(out.slice(i, 1), logits);
      on_row(place++, text[size_t(i) + 1], logits);
    }
    scratch.release(mark);
  }
  return {};
}

void log_softmax(std::span<float> logits) {
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double(logit) - double(most));
  const double log = std::log(sum) + double(most);
  for (float& logit : logits) logit = float(double(logit) - log);
}

}  // namespace

Result<Answers> Answers::make(const Model& model, const std::vector<std::vector<Token>>& texts, Ops& ops,
                              Ledger& ledger) {
  Answers answers;
  answers.texts_ = texts, answers.vocabulary_ = model.shape().vocabulary;
  int64_t places = 0;
  for (const auto& text : texts) places += std::max<int64_t>(0, int64_t(text.size()) - 1);
  answers.logs_ =
      TRY(Buffer::make(ledger, Tag::scratch, places * answers.vocabulary_ * 4)
              .with("keeping what the model expects after " + std::to_string(places) + " tokens"));
  auto* kept = reinterpret_cast<float*>(answers.logs_.bytes().data());
  TRY(read(model, texts, nullptr, ops, ledger, [&](int64_t place, Token, std::span<float> logits) {
    log_softmax(logits);
    std::copy(logits.begin(), logits.end(), kept + place * answers.vocabulary_);
  }));
  return answers;
}

Result<Compared> Answers::compare(const Model& model, const Adapter* adapter, Ops& ops,
                                  Ledger& ledger) const {
  if (model.shape().vocabulary != vocabulary_)
    return Status(Code::invalid, "two models with other vocabularies cannot be compared");
  Compared all;
  const auto* kept = reinterpret_cast<const float*>(logs_.bytes().data());
  TRY(read(model, texts_, adapter, ops, ledger, [&](int64_t place, Token next, std::span<float> logits) {
    log_softmax(logits);
    const std::span<const float> base(kept + place * vocabulary_, size_t(vocabulary_));
    double kl = 0;
    for (size_t i = 0; i < logits.size(); ++i)
      kl += std::exp(double(base[i])) * (double(base[i]) - double(logits[i]));
    const auto best = [](auto of) { return std::max_element(of.begin(), of.end()) - of.begin(); };
    all.agreed += best(base) == best(std::span<const float>(logits)) ? 1 : 0;
    all.kl += kl, all.nats -= double(logits[size_t(next)]), ++all.places;
  }));
  const double share = 1 / double(std::max<int64_t>(1, all.places));
  all.agreed *= share, all.kl *= share, all.nats *= share;
  return all;
}

}  // namespace varve

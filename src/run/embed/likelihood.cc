#include "run/embed/likelihood.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "run/embed/read_out.h"

namespace varve {
namespace {

constexpr std::string_view kBefore = "Passage: ", kBetween = "\nQuestion: ";

class LikelihoodScorer : public Scorer {
 public:
  LikelihoodScorer(Engine& engine, const LikelihoodOptions& options) : engine_(engine), options_(options) {
    head_ = as_prompt(*engine_.model().tokenizer(), plain(kBefore));
    between_ = plain(kBetween);
  }

  Result<std::vector<float>> score(std::string_view query, std::span<const std::string_view> texts) override {
    if (texts.size() > size_t(options_.texts)) {
      return Status(Code::invalid, std::to_string(texts.size()) + " texts to score; at most " +
                                       std::to_string(options_.texts) + " at once");
    }
    std::vector<Token> question = plain(query);
    question.resize(std::min(question.size(), size_t(options_.query_tokens)));
    if (question.empty() || texts.empty()) return std::vector<float>(texts.size());
    TRY(share_head());
    std::vector<Request> requests;
    for (std::string_view text : texts) requests.push_back(TRY(request_for(text, question)));
    const auto read = TRY(read_out(engine_, std::move(requests), options_.most_ms));
    std::vector<float> scores;
    for (const auto& tokens : read) {
      const double mean = std::accumulate(tokens.begin(), tokens.end(), 0.0) / double(tokens.size());
      scores.push_back(std::isfinite(mean) ? float(mean) : std::numeric_limits<float>::lowest());
    }
    return scores;
  }

 private:
  std::vector<Token> plain(std::string_view text) const {
    std::vector<Token> tokens;
    engine_.model().tokenizer()->encode(text, false, tokens);
    return tokens;
  }

  // The engine keeps it as a prefix, until its bytes are needed: then each text computes it for itself.
  Status share_head() {
    if (head_.empty() || shared_.exchange(true)) return {};
    Request request;
    request.tokens = head_;
    request.max_tokens = 0;
    request.priority = 1;
    std::vector<Request> one;
    one.push_back(std::move(request));
    return read_out(engine_, std::move(one), options_.most_ms).status();
  }

  Result<Request> request_for(std::string_view text, const std::vector<Token>& question) const {
    const int64_t around = int64_t(head_.size() + between_.size() + question.size());
    const int64_t room = std::min<int64_t>(options_.text_tokens, engine_.context() - around);
    if (room < 1) return Status(Code::invalid, "the model's context is too short to score a text");
    std::vector<Token> words = plain(text);
    words.resize(std::min(words.size(), size_t(room)));
    Request request;
    request.tokens = head_;
    for (const auto* part : {&std::as_const(words), &between_}) {
      request.tokens.insert(request.tokens.end(), part->begin(), part->end());
    }
    request.score_from = int32_t(request.tokens.size());
    request.tokens.insert(request.tokens.end(), question.begin(), question.end());
    request.priority = 1;
    return request;
  }

  Engine& engine_;
  const LikelihoodOptions options_;
  std::vector<Token> head_, between_;
  std::atomic<bool> shared_ = false;
};

}  // namespace

Result<std::unique_ptr<Scorer>> make_likelihood_scorer(Engine& engine, const LikelihoodOptions& options) {
  if (engine.model().tokenizer() == nullptr)
    return Status(Code::invalid, "the model has no tokenizer, so it cannot score texts");
  return std::unique_ptr<Scorer>(new LikelihoodScorer(engine, options));
}

}  // namespace varve

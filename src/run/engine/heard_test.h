// Asking an engine and hearing what it says; and what it ought to say, from plain arrays.
#pragma once

#include <condition_variable>
#include <mutex>

#include "run/engine/fake_model_test.h"

namespace varve {

// What a listener heard, for a test that waits.
class Heard {
 public:
  Listener listener() {
    return {.on_token =
                [this](const Sampled& sampled) {
                  std::lock_guard lock(mutex_);
                  tokens_.push_back(sampled.token);
                  changed_.notify_all();
                  return tokens_.size() != stop_at_;
                },
            .on_finish =
                [this](Finish how, Status status, const Usage& usage, std::vector<float> result) {
                  std::lock_guard lock(mutex_);
                  ++finished_;
                  how_ = how;
                  status_ = std::move(status);
                  usage_ = usage;
                  result_ = std::move(result);
                  changed_.notify_all();
                }};
  }
  Finish wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_ > 0; });
    return how_;
  }
  void wait_for_tokens(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tokens_.size() >= count || finished_ > 0; });
  }
  void stop_at(size_t count) { stop_at_ = count; }  // before it is submitted

  // Once it is finished.
  const std::vector<Token>& tokens() const { return tokens_; }
  const Status& status() const { return status_; }
  const Usage& usage() const { return usage_; }
  const std::vector<float>& result() const { return result_; }
  int finished() {
    std::lock_guard lock(mutex_);
    return finished_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t stop_at_ = 0;
  int finished_ = 0;
  Finish how_ = Finish::failed;
  Status status_;
  Usage usage_;
  std::vector<Token> tokens_;
  std::vector<float> result_;
};

inline SamplingOptions greedy() {
  return {.temperature = 0};
}

inline Request ask(std::vector<Token> tokens, int32_t max_tokens, SamplingOptions sampling = greedy()) {
  Request request;
  request.tokens = std::move(tokens);
  request.max_tokens = max_tokens;
  request.sampling = std::move(sampling);
  return request;
}

inline std::vector<Token> prompt_of(int32_t length, uint64_t seed) {
  std::vector<Token> tokens(static_cast<size_t>(length));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = Token(mix(seed, i) >> 20) & 31;
  return tokens;
}

// The text as it ought to be, from plain arrays. `keep`: streaming with 4 sinks and so many tokens in all.
inline std::vector<Token> expected(const Request& request, int32_t keep = 0) {
  std::vector<Token> tokens = request.tokens;
  Seen seen;
  for (size_t i = 0; i < request.tokens.size() + request.max_tokens; ++i) {
    seen.emplace_back(tokens[i], int32_t(i));
    if (i + 1 == tokens.size()) {
      std::vector<float> logits = FakeModel::logits_of(seen);
      const uint64_t index = tokens.size() - request.tokens.size();
      if (index == uint64_t(request.max_tokens)) break;
      tokens.push_back(sample(logits, tokens, index, request.sampling)->token);
    }
    if (keep > 0 && (i + 1) % kPageTokens == 0 && int32_t(seen.size()) > keep) {
      seen.erase(seen.begin() + 4, seen.end() - (keep - 4));
    }
  }
  return {tokens.begin() + request.tokens.size(), tokens.end()};
}

}  // namespace varve

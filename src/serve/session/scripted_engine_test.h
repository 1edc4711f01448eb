// For the tests of this room: an engine that says what a script says, letter by letter, and reuses prefixes
// as a real one would. Its tokens are bytes.
#pragma once

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/check.h"
#include "run/engine/engine.h"

namespace varve {

constexpr Token kControl = 256;  // "<|end|>"

class ByteTokenizer : public Tokenizer {
 public:
  ByteTokenizer() {
    special_.eos = kControl;
    for (int i = 0; i < 256; ++i) bytes_ += char(i);
  }
  void encode(std::string_view text, bool parse_special, std::vector<Token>& out) const override {
    for (size_t at = 0; at < text.size(); ++at) {
      if (parse_special && text.substr(at, 7) == "<|end|>") {
        out.push_back(kControl);
        at += 6;
      } else {
        out.push_back(uint8_t(text[at]));
      }
    }
  }
  void decode(Token token, bool show_special, std::string& out) const override {
    if (token < 256) out += char(token);
    if (token == kControl && show_special) out += "<|end|>";
  }
  int32_t size() const override { return 257; }
  const SpecialTokens& special() const override { return special_; }
  std::string_view piece(Token token) const override {
    return token < 256 ? std::string_view(bytes_).substr(size_t(token), 1) : std::string_view();
  }
  bool is_control(Token token) const override { return token == kControl; }

 private:
  SpecialTokens special_;
  std::string bytes_;
};

class ScriptedModel : public Model {
 public:
  const Hash256& fingerprint() const override { return hash_; }
  const ModelShape& shape() const override { return shape_; }
  const std::string& name() const override { return name_; }
  const Tokenizer* tokenizer() const override { return &tokenizer_; }
  const ChatTemplate* chat_template() const override { return nullptr; }
  const WeightStore& weights() const override { check_failed("", "a scripted model has no weights", "", 0); }
  int64_t scratch_bytes(int32_t, int32_t) const override { return 0; }
  Status forward(const Batch&, Ops&, Scratch&, Rows) const override { return {}; }
  Status hidden(const Batch&, Ops&, Scratch&, Rows) const override { return {}; }
  Status head(std::span<const Segment>, Ops&, Scratch&, Rows, Rows) const override { return {}; }

 private:
  Hash256 hash_;
  ModelShape shape_;
  std::string name_ = "script";
  ByteTokenizer tokenizer_;
};

class ScriptedEngine : public Engine {
 public:
  // `script`: prompt to answer. An answer that begins with '!' fails; one that ends with '~' never ends by
  // itself.
  explicit ScriptedEngine(std::function<std::string(const std::string&)> script)
      : script_(std::move(script)) {}
  ~ScriptedEngine() override {
    for (std::thread& one : threads_) one.join();
  }

  Result<SequenceId> submit(Request request, Listener listener) override {
    std::lock_guard lock(mutex_);
    Usage usage{.prompt_tokens = int32_t(request.tokens.size())};
    for (const auto& earlier : seen_) {
      const auto differ =
          std::mismatch(earlier.begin(), earlier.end(), request.tokens.begin(), request.tokens.end());
      usage.reused_tokens = std::max(usage.reused_tokens, int32_t(differ.first - earlier.begin()));
    }
    std::string prompt;
    for (Token token : request.tokens) model_.tokenizer()->decode(token, true, prompt);
    prompts.push_back(prompt);
    requests.push_back(request);
    const std::string answer = script_(prompt);
    std::vector<Token> whole = request.tokens;
    for (char c : answer) whole.push_back(uint8_t(c));
    seen_.push_back(std::move(whole));
    cancelled_.push_back(false);
    const SequenceId id = cancelled_.size() - 1;
    threads_.emplace_back([=, this] { speak(id, answer, request.max_tokens, listener, usage); });
    return id;
  }
  void cancel(SequenceId id) override {
    std::lock_guard lock(mutex_);
    cancelled_[id] = true;
  }
  EngineStats stats() const override { return {}; }
  const Model& model() const override { return model_; }
  int32_t context() const override { return context_tokens; }
  Status forget_prefixes() override { return {}; }

  int32_t context_tokens = 4096;
  std::vector<std::string> prompts;
  std::vector<Request> requests;

 private:
  bool cancelled(SequenceId id) {
    std::lock_guard lock(mutex_);
    return cancelled_[id];
  }
  void speak(SequenceId id, const std::string& answer, int32_t most, const Listener& listener, Usage usage) {
    if (!answer.empty() && answer[0] == '!') {
      return listener.on_finish(Finish::failed, Status(Code::over_budget, "no room"), usage, {});
    }
    Finish finish = Finish::stop;
    for (char c : answer) {
      if (cancelled(id)) finish = Finish::cancelled;
      if (usage.generated_tokens >= most) finish = Finish::length;
      if (finish != Finish::stop) break;
      while (c == '~' && !cancelled(id)) std::this_thread::yield();
      if (c == '~') finish = Finish::cancelled;
      if (c == '~') break;
      ++usage.generated_tokens;
      listener.on_token({.token = uint8_t(c)});
    }
    listener.on_finish(finish, Status(), usage, {});
  }

  std::function<std::string(const std::string&)> script_;
  ScriptedModel model_;
  std::mutex mutex_;
  std::vector<std::vector<Token>> seen_;
  std::vector<bool> cancelled_;
  std::vector<std::thread> threads_;
};

}  // namespace varve

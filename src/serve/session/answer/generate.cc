#include "serve/session/answer/generate.h"

#include <condition_variable>
#include <memory>
#include <optional>

#include "serve/session/answer/stop_filter.h"

namespace varve {

void Interrupt::raise() {
  std::lock_guard lock(mutex_);
  raised_ = true;
  if (act_) act_();
}
void Interrupt::clear() {
  std::lock_guard lock(mutex_);
  raised_ = false;
}
bool Interrupt::raised() const {
  std::lock_guard lock(mutex_);
  return raised_;
}
void Interrupt::on_raise(std::function<void()> act) {
  std::lock_guard lock(mutex_);
  act_ = std::move(act);
  if (act_ && raised_) act_();
}

namespace {

// Between the engine's thread, which must not wait, and the one that waits for text.
class Inbox {
 public:
  void put(const Sampled& token) {
    std::lock_guard lock(mutex_);
    tokens_.push_back(token);
    changed_.notify_one();
  }
  void end(Finish finish, Status status, const Usage& usage) {
    std::lock_guard lock(mutex_);
    finish_ = finish;
    status_ = std::move(status);
    usage_ = usage;
    changed_.notify_one();
  }
  // Waits for news. Empty: the sequence has ended.
  std::vector<Sampled> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !tokens_.empty() || finish_; });
    return std::exchange(tokens_, {});
  }
  // After take() gave nothing.
  Finish finish() const { return *finish_; }
  Status status() { return std::move(status_); }
  const Usage& usage() const { return usage_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Sampled> tokens_;
  std::optional<Finish> finish_;
  Status status_;
  Usage usage_;
};

// Tokens in, certain text out.
class Speaker {
 public:
  Speaker(const Tokenizer& tokenizer, std::vector<std::string> stop, const OnPiece& on_piece)
      : tokenizer_(tokenizer), filter_(std::move(stop)), on_piece_(on_piece) {}

  // False: no more is wanted.
  bool hear(const Sampled& token) {
    waiting_.push_back(token);
    std::string bytes;
    tokenizer_.decode(token.token, false, bytes);
    say(filter_.push(utf8_.push(bytes)));
    return !filter_.stopped() && !refused_;
  }
  void finish() {
    if (filter_.stopped() || refused_) return;
    say(filter_.push(utf8_.finish()));
    if (!filter_.stopped()) say(filter_.finish());
  }
  bool stopped() const { return filter_.stopped(); }
  bool refused() const { return refused_; }
  std::string text;

 private:
  void say(const std::string& certain) {
    if (certain.empty()) return;
    text += certain;
    if (on_piece_ && !on_piece_({certain, waiting_})) refused_ = true;
    waiting_.clear();
  }

  const Tokenizer& tokenizer_;
  Utf8Stream utf8_;
  StopFilter filter_;
  const OnPiece& on_piece_;
  std::vector<Sampled> waiting_;  // tokens whose text is not certain yet
  bool refused_ = false;
};

}  // namespace

Result<Generation> generate(Engine& engine, Request request, std::vector<std::string> stop,
                            const OnPiece& on_piece, Interrupt& interrupt) {
  for (const std::string& one : stop) {
    if (one.empty()) return Status(Code::invalid, "a stop string is empty; leave it out");
  }
  const bool keep_sampled = request.sampling.logprobs >= 0;
  const auto inbox = std::make_shared<Inbox>();
  Listener listener;
  listener.on_token = [inbox](const Sampled& token) {
    inbox->put(token);
    return true;
  };
  listener.on_finish = [inbox](Finish finish, Status status, const Usage& usage, std::vector<float>) {
    inbox->end(finish, std::move(status), usage);
  };
  const SequenceId id = TRY(engine.submit(std::move(request), std::move(listener)));
  interrupt.on_raise([&engine, id] { engine.cancel(id); });

  Speaker speaker(*engine.model().tokenizer(), std::move(stop), on_piece);
  Generation made;
  bool wanted = true;
  for (auto tokens = inbox->take(); !tokens.empty(); tokens = inbox->take()) {
    for (const Sampled& token : tokens) {
      if (!wanted) break;
      if (keep_sampled) made.sampled.push_back(token);
      wanted = speaker.hear(token);
    }
    if (!wanted) engine.cancel(id);
  }
  interrupt.on_raise(nullptr);
  if (inbox->finish() == Finish::failed) return inbox->status();
  speaker.finish();
  made.text = std::move(speaker.text);
  made.usage = inbox->usage();
  made.finish = speaker.stopped() ? Finish::stop : speaker.refused() ? Finish::cancelled : inbox->finish();
  return made;
}

}  // namespace varve

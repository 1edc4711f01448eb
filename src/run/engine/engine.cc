// The engine's thread and its inbox. What is behind the lock is marked; all else belongs to the engine
// thread.
#include "run/engine/engine.h"

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "run/engine/capacity.h"
#include "run/engine/prefix_store.h"
#include "run/engine/runner.h"
#include "run/engine/scheduler.h"

namespace varve {
namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Sequence::Time from, Sequence::Time to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

struct Parts {
  std::shared_ptr<const Model> model;
  Ledger& ledger;
  EngineOptions options;
  Capacity capacity;
  int32_t context = 0;
  std::unique_ptr<Scheduler> scheduler;
  std::shared_ptr<KvPool> pool;
  std::unique_ptr<Runner> runner;
};

class ThreadedEngine : public Engine {
 public:
  explicit ThreadedEngine(Parts parts)
      : parts_(std::move(parts)), prefixes_(parts_.model, parts_.pool, parts_.options.prefixes) {
    parts_.ledger.add_shrinker(&prefixes_);
  }
  Status begin() {
    TRY(prefixes_.open_disk());
    thread_ = std::thread([this] { live(); });
    return {};
  }
  ~ThreadedEngine() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) {
      thread_.join();
      prefixes_.spill().ignore("they are computed again");
    }
    parts_.ledger.remove_shrinker(&prefixes_);
  }

  Result<SequenceId> submit(Request request, Listener listener) override;
  void cancel(SequenceId id) override;
  EngineStats stats() const override;
  const Model& model() const override { return *parts_.model; }
  int32_t context() const override { return parts_.context; }
  Status forget_prefixes() override { return prefixes_.forget(); }
  // With an adapter for all, what is computed is of no use to an engine without it.
  PrefixStore* prefixes() override { return parts_.options.adapter == nullptr ? &prefixes_ : nullptr; }

 private:
  Status check(const Request& request) const;
  Status room_to_wait(int32_t prompt) const;  // under mutex_

  // On the engine thread.
  void live();
  bool take_inbox();  // waits when there is nothing to do; false: the engine ends
  void step();
  std::vector<SequenceView> views() const;
  void admit(std::span<const size_t> order);
  Status start(Sequence& sequence);
  Status give_kv(Sequence& sequence);
  void run(std::span<const BatchPlan::Share> shares);
  void on_logits(Sequence& sequence, std::span<float> logits);
  void finish(Sequence& sequence, Finish how, Status status = {});
  void leave_prefix(const Sequence& sequence);
  template <class Change>
  void count(Change change) {
    std::lock_guard lock(mutex_);
    change(stats_);
  }

  Parts parts_;
  PrefixStore prefixes_;
  std::vector<std::unique_ptr<Sequence>> sequences_;  // in the order of submission
  SequenceId blocked_ = 0;                            // did not fit; nothing has finished since

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Sequence>> submitted_;  // mutex_
  std::vector<SequenceId> cancelled_;                 // mutex_
  EngineStats stats_;                                 // mutex_
  SequenceId last_id_ = 0;                            // mutex_
  bool stopping_ = false;                             // mutex_
  std::thread thread_;
};

Status ThreadedEngine::check(const Request& request) const {
  const int32_t vocabulary = parts_.model->shape().vocabulary;
  if (request.tokens.empty()) return Status(Code::invalid, "an empty prompt");
  for (Token token : request.tokens) {
    if (token < 0 || token >= vocabulary) {
      return Status(Code::invalid, "token " + std::to_string(token) + " is not one of the model's " +
                                       std::to_string(vocabulary));
    }
  }
  if (request.tokens.size() > size_t(parts_.context)) {
    return Status(Code::invalid, "a prompt of " + std::to_string(request.tokens.size()) +
                                     " tokens is longer than the context of " +
                                     std::to_string(parts_.context));
  }
  if (request.max_tokens < 0) return Status(Code::invalid, "max_tokens is negative");
  if (request.priority < 0 || request.priority > 9) return Status(Code::invalid, "priority is 0 to 9");
  const int32_t prompt = int32_t(request.tokens.size());
  const bool embeds = request.pool_from >= 0 && request.pool_from < prompt && request.layer >= 0 &&
                      request.layer <= parts_.model->shape().layers && request.score_from == 0;
  if (request.embed && !embeds) return Status(Code::invalid, "the model cannot be read out like that");
  if (request.score_from < 0 || request.score_from >= prompt)
    return Status(Code::invalid, "nothing is left of the prompt to score");
  return request.sampling.validate();
}

Result<SequenceId> ThreadedEngine::submit(Request request, Listener listener) {
  TRY(check(request));
  auto sequence = std::make_unique<Sequence>();
  const int32_t prompt = int32_t(request.tokens.size());
  sequence->tokens = std::move(request.tokens);
  const bool writes = !request.embed && request.score_from == 0;
  sequence->most_tokens = writes ? prompt + std::min(request.max_tokens, parts_.context - prompt) : prompt;
  sequence->usage.prompt_tokens = prompt;
  sequence->prefix_epoch = prefixes_.epoch();
  if (request.adapter == nullptr) request.adapter = parts_.options.adapter;
  sequence->request = std::move(request);
  sequence->listener = std::move(listener);
  sequence->submitted = Clock::now();
  const int64_t bytes = sequence->held_bytes(parts_.model->shape().width);
  TRY(parts_.capacity.admits(prompt, sequence->most_tokens, bytes));
  sequence->booked = TRY(parts_.ledger.reserve(Tag::io, bytes).with("booking a request"));
  if (writes) {  // here, where nobody else waits for the disk
    const auto known = std::span(sequence->tokens).first(size_t(prompt - 1));
    const Request& asked = sequence->request;
    sequence->usage.restored_tokens = prefixes_.fetch({asked.scope, asked.adapter}, known);
  }
  std::lock_guard lock(mutex_);
  TRY(room_to_wait(prompt));
  const SequenceId id = sequence->id = ++last_id_;
  submitted_.push_back(std::move(sequence));
  ++stats_.waiting;
  stats_.tokens_waiting += prompt;
  wake_.notify_one();
  return id;
}

Status ThreadedEngine::room_to_wait(int32_t prompt) const {
  if (stats_.waiting == 0) return {};
  if (stats_.waiting < kMostWaiting && stats_.tokens_waiting + prompt <= kMostTokensWaiting) return {};
  return Status(Code::over_budget, std::to_string(stats_.waiting) + " requests with " +
                                       std::to_string(stats_.tokens_waiting) +
                                       " tokens wait already; try again later");
}

void ThreadedEngine::cancel(SequenceId id) {
  std::lock_guard lock(mutex_);
  cancelled_.push_back(id);
  wake_.notify_one();
}

EngineStats ThreadedEngine::stats() const {
  std::unique_lock lock(mutex_);
  EngineStats stats = stats_;
  lock.unlock();
  stats.kv_bytes = parts_.pool->booked_bytes();
  stats.prefix_bytes = prefixes_.bytes();
  stats.prefix_disk_bytes = prefixes_.disk_bytes();
  return stats;
}

void ThreadedEngine::live() {
  while (take_inbox()) step();
  for (auto& sequence : sequences_) {
    if (!sequence->finished) finish(*sequence, Finish::cancelled);
  }
  sequences_.clear();
}

bool ThreadedEngine::take_inbox() {
  std::vector<SequenceId> cancelled;
  {
    std::unique_lock lock(mutex_);
    const auto due = [&] {
      return stopping_ || !submitted_.empty() || !cancelled_.empty() || !sequences_.empty();
    };
    const std::chrono::milliseconds quiet(parts_.options.prefixes.quiet_ms);
    while (prefixes_.unsaved() && !wake_.wait_for(lock, quiet, due)) {
      lock.unlock();
      prefixes_.spill().ignore("they are computed again");
      lock.lock();
    }
    wake_.wait(lock, due);
    std::move(submitted_.begin(), submitted_.end(), std::back_inserter(sequences_));
    submitted_.clear();
    cancelled.swap(cancelled_);
    if (stopping_) return false;
  }
  for (SequenceId id : cancelled) {
    auto found = std::find_if(sequences_.begin(), sequences_.end(),
                              [&](const auto& sequence) { return sequence->id == id; });
    if (found != sequences_.end() && !(*found)->finished) finish(**found, Finish::cancelled);
  }
  std::erase_if(sequences_, [](const auto& sequence) { return sequence->finished; });
  return true;
}

std::vector<SequenceView> ThreadedEngine::views() const {
  std::vector<SequenceView> all;
  for (const auto& sequence : sequences_) {
    SequenceView view{.running = sequence->kv != nullptr,
                      .priority = sequence->request.priority,
                      .rows = sequence->pending(),
                      .waited_steps = sequence->waited_steps};
    // A policy is asked at every full page, so that what it keeps does not depend on how steps were cut.
    if (parts_.pool->policy != nullptr && view.running) {
      view.rows = std::min(view.rows, kPageTokens - sequence->kv->tokens() % kPageTokens);
    }
    all.push_back(view);
  }
  return all;
}

void ThreadedEngine::step() {
  const BatchPlan plan = parts_.scheduler->plan(
      views(), {.rows = parts_.options.chunk_rows, .sequences = parts_.options.max_sequences});
  for (auto& sequence : sequences_) ++sequence->waited_steps;
  for (const auto& share : plan.shares) sequences_[share.sequence]->waited_steps = 0;
  admit(plan.admit);
  if (!plan.shares.empty()) run(plan.shares);
}

void ThreadedEngine::admit(std::span<const size_t> order) {
  for (size_t next : order) {
    Sequence& sequence = *sequences_[next];
    if (sequence.id == blocked_) return;  // nobody overtakes it
    Status status = start(sequence);
    if (status.ok()) continue;
    const bool alone = std::none_of(sequences_.begin(), sequences_.end(),
                                    [](const auto& other) { return other->kv != nullptr; });
    if (status.code() == Code::over_budget && !alone) {
      blocked_ = sequence.id;
      return;
    }
    finish(sequence, Finish::failed, std::move(status));
  }
}

Status ThreadedEngine::start(Sequence& sequence) {
  const Request& request = sequence.request;
  if (request.adapter) TRY(parts_.runner->make_room_for(*request.adapter));
  if (request.grammar) sequence.constraint = request.grammar->start();
  if (request.embed) sequence.hidden_sum.assign(size_t(parts_.model->shape().width), 0);
  TRY(give_kv(sequence));
  sequence.admitted = Clock::now();
  sequence.usage.queue_ms = ms_between(sequence.submitted, sequence.admitted);
  sequence.waited_steps = 0;
  count([&](EngineStats& stats) {
    --stats.waiting;
    stats.tokens_waiting -= sequence.usage.prompt_tokens;
    ++stats.running;
    stats.prompt_tokens += sequence.usage.prompt_tokens;
    stats.prefill_tokens_saved += sequence.usage.reused_tokens;
    stats.restored_tokens += sequence.usage.restored_tokens;
  });
  return {};
}

// All KV that the sequence can ever need. A fork of a prefix may for a moment need a page a lane more than a
// fresh start: if that does not fit, it starts afresh.
Status ThreadedEngine::give_kv(Sequence& sequence) {
  PrefixStore::Match match;
  if (!sequence.request
           .embed) {  // somebody wants the logits of the last token, or of those before the scored
    const size_t scored = size_t(sequence.request.score_from);
    const size_t known = (scored > 0 ? scored : sequence.tokens.size()) - 1;
    match = prefixes_.longest({sequence.request.scope, sequence.request.adapter},
                              std::span(sequence.tokens).first(known));
  }
  while (true) {
    auto kv = TRY(make_kv_cache(parts_.pool, match.kv));
    TRY(kv->truncate(match.tokens));
    Status reserved = kv->reserve(sequence.most_tokens - match.tokens);
    if (reserved.ok()) {
      sequence.kv = std::move(kv);
      sequence.usage.reused_tokens = match.tokens;
      sequence.usage.restored_tokens = std::min(sequence.usage.restored_tokens, match.tokens);
      return {};
    }
    if (match.tokens == 0) return reserved;
    match = {};
  }
}

void ThreadedEngine::run(std::span<const BatchPlan::Share> shares) {
  std::vector<Piece> pieces;
  for (const auto& share : shares) pieces.push_back({sequences_[share.sequence].get(), share.rows, {}});
  parts_.runner->run(pieces,
                     [this](Sequence& sequence, std::span<float> logits) { on_logits(sequence, logits); });
  count([](EngineStats& stats) { ++stats.steps; });
  for (Piece& piece : pieces) {
    Sequence& sequence = *piece.sequence;
    if (sequence.finished) continue;
    if (!piece.status.ok()) {
      finish(sequence, Finish::failed, std::move(piece.status).with("computing a step"));
    } else if (sequence.pending() == 0) {
      finish(sequence, sequence.writes() ? Finish::length : Finish::stop);
    }
  }
}

void ThreadedEngine::on_logits(Sequence& sequence, std::span<float> logits) {
  if (sequence.usage.generated_tokens == 0) sequence.prefilled = Clock::now();
  auto drawn = draw(sequence, parts_.model->tokenizer(), logits);
  if (drawn.ok() && sequence.constraint) {
    Status booked = sequence.booked.resize(sequence.held_bytes(parts_.model->shape().width));
    if (!booked.ok()) drawn = std::move(booked).with("following the grammar");
  }
  if (!drawn.ok()) return finish(sequence, Finish::failed, std::move(drawn).status());
  if (!drawn->has_value()) return finish(sequence, Finish::stop);
  sequence.tokens.push_back((*drawn)->token);
  ++sequence.usage.generated_tokens;
  count([](EngineStats& stats) { ++stats.generated_tokens; });
  const auto& on_token = sequence.listener.on_token;
  if (on_token && !on_token(**drawn)) return finish(sequence, Finish::stop);
  if (!sequence.wants_token()) finish(sequence, Finish::length);
}

// KV and counts are in order before the listener hears of it.
void ThreadedEngine::finish(Sequence& sequence, Finish how, Status status) {
  Usage& usage = sequence.usage;
  const bool ran = sequence.kv != nullptr;
  const Sequence::Time now = Clock::now();
  if (!ran) {
    usage.queue_ms = ms_between(sequence.submitted, now);
  } else if (sequence.prefilled == Sequence::Time()) {
    usage.prefill_ms = ms_between(sequence.admitted, now);
  } else {
    usage.prefill_ms = ms_between(sequence.admitted, sequence.prefilled);
    usage.decode_ms = ms_between(sequence.prefilled, now);
  }
  if (ran && how != Finish::failed && sequence.writes()) leave_prefix(sequence);
  sequence.kv.reset();
  sequence.booked = {};
  sequence.finished = true;
  blocked_ = 0;
  count([&](EngineStats& stats) {
    --(ran ? stats.running : stats.waiting);
    if (!ran) stats.tokens_waiting -= usage.prompt_tokens;
  });

  std::vector<float> result;
  if (!sequence.writes() && how == Finish::stop)
    result = sequence.request.embed ? sequence.pooled() : std::move(sequence.scores);
  const auto& on_finish = sequence.listener.on_finish;
  if (on_finish) on_finish(how, std::move(status), usage, std::move(result));
}

void ThreadedEngine::leave_prefix(const Sequence& sequence) {
  const int32_t computed = sequence.kv->tokens();
  auto kv = sequence.kv->snapshot(computed);
  if (!kv.ok()) return;  // a policy has dropped some
  prefixes_.add({sequence.request.scope, sequence.request.adapter}, sequence.prefix_epoch,
                std::span(sequence.tokens).first(size_t(computed)), std::move(*kv), sequence.request.lasting);
}

Status check(const EngineOptions& options) {
  const auto within = [](std::string_view name, int32_t value, int32_t low, int32_t high) {
    if (value >= low && value <= high) return Status();
    return Status(Code::invalid, std::string(name) + " is " + std::to_string(value) + ", not within " +
                                     std::to_string(low) + " and " + std::to_string(high));
  };
  TRY(within("max_sequences", options.max_sequences, 1, 1024));
  TRY(within("chunk_rows", options.chunk_rows, 1, 1 << 16));
  return within("threads", options.threads, 0, 1024);
}

}  // namespace

Result<std::unique_ptr<Engine>> start_engine(std::shared_ptr<const Model> model, Ledger& ledger,
                                             const EngineOptions& options) {
  TRY(check(options));
  const KvRecipe recipe = TRY(parse_kv_recipe(options.kv));
  Parts parts{
      .model = model, .ledger = ledger, .options = options, .capacity = {ledger, model->shape().kv, recipe}};
  parts.scheduler = TRY(schedulers().make(options.scheduler));
  parts.pool = TRY(make_kv_pool(ledger, model->shape().kv, recipe));
  parts.runner = TRY(Runner::make(model, ledger, options).with("booking scratch for the engine"));
  parts.context = TRY(parts.capacity.context(options.context, model->shape().context));
  auto engine = std::make_unique<ThreadedEngine>(std::move(parts));
  TRY(engine->begin());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace varve

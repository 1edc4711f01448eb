// What is asked of the engine, the steps of its thread, and what is heard of them.
#include "run/engine/engine.h"

#include <algorithm>

#include "run/engine/splice.h"
#include "run/engine/threaded_engine.h"
#include "run/weights/stream_plan.h"

namespace varve {

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
  int32_t end = 0;
  for (const Splice& one : request.splices) {
    if (one.at < end || one.first < 0 || one.count < 1 || one.at > prompt - 1 - one.count ||
        one.count > one.kv.tokens - one.first || !(one.patched >= 0 && one.patched <= 1))
      return Status(Code::invalid, "splices overlap, or stand for what is not there");
    end = one.at + one.count;
  }
  if (end > 0 && (request.embed || (request.score_from > 0 && request.score_from <= end)))
    return Status(Code::invalid, "what a splice stands for has no scores, and embeds nothing");
  if (end > 0) TRY(can_splice(*parts_.model, *parts_.pool));
  if (request.subtasks && parts_.pool->methods.policy != nullptr)
    return Status(Code::invalid,
                  "a KV policy drops tokens by itself, so that none can be taken back when a "
                  "subtask ends; use policy=full");
  if (request.subtasks && parts_.model->tokenizer() == nullptr)
    return Status(Code::invalid, "subtasks are found in words, and this model has no tokenizer");
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
  if (!request.sampling.temperature) request.sampling.temperature = parts_.model->temperature();
  if (request.subtasks) sequence->subtasks.emplace(*request.subtasks);
  sequence->request = std::move(request);
  sequence->listener = std::move(listener);
  sequence->submitted = Sequence::now();
  const int64_t bytes = sequence->held_bytes(parts_.model->shape().width);
  TRY(parts_.capacity.admits(prompt, sequence->most_tokens, bytes));
  sequence->booked = TRY(parts_.ledger.reserve(Tag::io, bytes).with("booking a request"));
  const int64_t free = parts_.ledger.limit() - parts_.ledger.used();
  if (writes && kv_bytes_for(parts_.capacity.shape, parts_.capacity.recipe, prompt) <= free) {
    // Here, where nobody else waits for the disk.
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
  if (parts_.swap != nullptr) stats.paused_bytes = parts_.swap->bytes();
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
                      .rows = sequence->rows(),
                      .waited_steps = sequence->waited_steps,
                      .served_steps = sequence->served_steps};
    if (view.running) view.kv_tokens = sequence->kv->tokens();
    if (sequence->away) view.rows = 1;
    // A policy is asked at every full page, so that what it keeps does not depend on how steps were cut.
    if ((parts_.pool->methods.policy != nullptr || parts_.pool->ram_tokens > 0) && view.running) {
      view.rows = std::min(view.rows, kPageTokens - sequence->kv->tokens() % kPageTokens);
    }
    all.push_back(view);
  }
  return all;
}

void ThreadedEngine::step() {
  for (auto& sequence : sequences_) {
    if (sequence->kv != nullptr) splice(*sequence);
  }
  const BatchPlan plan =
      parts_.scheduler->plan(views(), {.rows = parts_.options.chunk_rows,
                                       .sequences = parts_.options.max_sequences,
                                       .crowded = blocked_ != 0 && parts_.swap != nullptr && !no_pause_});
  const auto those = [&](std::span<const size_t> named) {
    std::vector<Sequence*> all;
    for (size_t one : named) all.push_back(sequences_[one].get());
    return all;
  };
  for (auto& sequence : sequences_) ++sequence->waited_steps;
  std::vector<StepPiece> pieces;
  for (const auto& share : plan.shares) {
    Sequence& sequence = *sequences_[share.sequence];
    sequence.waited_steps = 0;
    ++sequence.served_steps;
    pieces.push_back({&sequence, share.rows, {}});
  }
  const std::vector<Sequence*> pausing = those(plan.pause), waiting = those(plan.admit);
  pause(pausing);
  admit(waiting);
  if (!pieces.empty()) run(pieces);
}

void ThreadedEngine::run(std::span<StepPiece> pieces) {
  parts_.runner->run(pieces,
                     [this](Sequence& sequence, std::span<float> logits) { on_logits(sequence, logits); });
  count([](EngineStats& stats) { ++stats.steps; });
  for (StepPiece& piece : pieces) {
    Sequence& sequence = *piece.sequence;
    if (sequence.finished) continue;
    if (!piece.status.ok()) {
      finish(sequence, Finish::failed, std::move(piece.status).with("computing a step"));
    } else if (sequence.pending() == 0) {
      finish(sequence, sequence.writes() ? Finish::length : Finish::stop);
    }
  }
}

// What is due at the end of what it holds. What a splice cannot do is read.
void ThreadedEngine::splice(Sequence& sequence) {
  while (const Splice* next = sequence.splice()) {
    const int32_t done = sequence.kv->tokens();
    if (done < next->at) return;
    Splice rest = *next;  // what it has already stands
    const int32_t had = std::min(done - rest.at, rest.count);
    rest.at += had, rest.first += had, rest.count -= had;
    ++sequence.next_splice;
    if (rest.count == 0) continue;
    auto again = parts_.runner->splice(sequence, parts_.pool, rest);
    if (!again.ok()) continue;
    sequence.usage.spliced_tokens += rest.count;
    sequence.usage.patched_tokens += *again;
  }
}

void ThreadedEngine::on_logits(Sequence& sequence, std::span<float> logits) {
  if (sequence.usage.generated_tokens == 0) sequence.prefilled = Sequence::now();
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
  if (sequence.subtasks) {
    Status pruned = prune(sequence);
    if (!pruned.ok()) return finish(sequence, Finish::failed, std::move(pruned).with("ending a subtask"));
  }
  if (!sequence.wants_token()) finish(sequence, Finish::length);
}

// The newest token may end a subtask. What stands after its work is computed again, in its place.
Status ThreadedEngine::prune(Sequence& sequence) {
  std::string text;
  parts_.model->tokenizer()->decode(sequence.tokens.back(), true, text);
  std::vector<Token>& tokens = sequence.tokens;
  Usage& usage = sequence.usage;
  sequence.subtasks->hear(int32_t(tokens.size()) - 1, text);
  usage.subtasks = sequence.subtasks->finished();
  int32_t kept = sequence.kv->tokens();
  const int32_t computed = kept;
  while (const auto gone = sequence.subtasks->next(int32_t(tokens.size()) == sequence.most_tokens)) {
    tokens.erase(tokens.begin() + gone->first, tokens.begin() + gone->end);
    usage.pruned_tokens += gone->end - gone->first;
    kept = std::min(kept, gone->first);
  }
  if (kept == computed) return {};
  usage.reread_tokens += int32_t(tokens.size()) - kept - 1;  // the newest was still to be computed
  TRY(sequence.kv->truncate(kept));
  return sequence.kv->reserve(sequence.most_tokens - kept);
}

// KV and counts are in order before the listener hears of it.
void ThreadedEngine::finish(Sequence& sequence, Finish how, Status status) {
  Usage& usage = sequence.usage;
  if (sequence.kv != nullptr) usage.kv = sequence.kv->counts();
  const bool running = sequence.kv != nullptr, paused = sequence.away != nullptr;
  const bool ran = sequence.admitted != Sequence::Time();
  const Sequence::Time now = Sequence::now();
  if (!ran) {
    usage.queue_ms = ms_between(sequence.submitted, now);
  } else if (sequence.prefilled == Sequence::Time()) {
    usage.prefill_ms = ms_between(sequence.admitted, now);
  } else {
    usage.prefill_ms = ms_between(sequence.admitted, sequence.prefilled);
    usage.decode_ms = ms_between(sequence.prefilled, now);
  }
  if (running) {
    usage.kv_pack = parts_.pool->codec.name();
    usage.kv_bytes = sequence.kv->bytes();
    const KvShape& shape = parts_.pool->shape;
    usage.shared_bytes = usage.reused_tokens / kPageTokens * int64_t(shape.layers) * shape.kv_heads *
                         parts_.pool->layout.bytes();
    if (how != Finish::failed && sequence.writes() && usage.spliced_tokens == 0) leave_prefix(sequence);
  }
  sequence.kv.reset();
  if (paused) parts_.swap->drop(sequence.slot);
  sequence.away.reset();
  sequence.booked = {};
  sequence.finished = true;
  blocked_ = 0;
  no_pause_ = false;
  count([&](EngineStats& stats) {
    --(running ? stats.running : paused ? stats.paused : stats.waiting);
    if (!running && !paused) stats.tokens_waiting -= usage.prompt_tokens;
  });

  std::vector<float> result;
  if (!sequence.writes() && how == Finish::stop)
    result = sequence.request.embed ? sequence.pooled() : std::move(sequence.scores);
  const auto& on_finish = sequence.listener.on_finish;
  if (on_finish) on_finish(how, std::move(status), usage, std::move(result));
}

void ThreadedEngine::leave_prefix(const Sequence& sequence) {
  const int32_t computed = sequence.exact_tokens();
  auto kv = sequence.kv->snapshot(computed);
  if (!kv.ok()) return;  // a policy has dropped some
  prefixes_.add({sequence.request.scope, sequence.request.adapter}, sequence.prefix_epoch,
                std::span(sequence.tokens).first(size_t(computed)), std::move(*kv), sequence.request.lasting);
}

namespace {

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

Result<std::unique_ptr<NeuronChooser>> chooser_of(const Model& model, const std::string& spec) {
  if (spec.empty()) return std::unique_ptr<NeuronChooser>();
  auto chooser = TRY(neuron_choosers().make(spec).with("reading --neurons"));
  if (model.shape().neurons == 0)
    return Status(Code::unsupported,
                  "neurons of this model cannot be chosen: it is a mixture of experts, or "
                  "compressed or fused so that none of them lies alone");
  const Neurons* neurons = model.weights().neurons();
  if (!chooser->foresees() || (neurons != nullptr && neurons->whole() && neurons->sketch(0))) return chooser;
  const Streaming* streaming = model.weights().streaming();
  const std::string word = streaming == nullptr ? "" : streaming->plan().neuron_word;
  return Status(Code::unsupported, "--neurons " + spec +
                                       " is for a ReLU model larger than its budget, beside which 'varve "
                                       "neurons --sketch q4_0' has written its neurons" +
                                       (word.empty() ? "" : "; " + word));
}

}  // namespace

Result<std::unique_ptr<Engine>> start_engine(std::shared_ptr<const Model> model, Ledger& ledger,
                                             const EngineOptions& options) {
  TRY(check(options));
  const KvRecipe recipe = TRY(parse_kv_recipe(options.kv));
  EngineParts parts{
      .model = model, .ledger = ledger, .options = options, .capacity = {ledger, model->shape().kv, recipe}};
  parts.chooser = TRY(chooser_of(*model, options.neurons));
  parts.scheduler = TRY(schedulers().make(options.scheduler));
  parts.pool = TRY(make_kv_pool(ledger, model->shape().kv, recipe, &model->fingerprint()));
  parts.pool->positions = positions_of(*model);
  const auto most_read = kv_most_read(recipe, options.chunk_rows);
  parts.capacity.beyond = parts.pool->positions.trained > 0 && most_read.has_value() &&
                          *most_read <= parts.pool->positions.trained;
  parts.runner = TRY(Runner::make(model, ledger, options).with("booking scratch for the engine"));
  parts.context = TRY(parts.capacity.context(options.context, model->shape().context));
  if (const PauseHome& home = options.pauses; home.env != nullptr && home.disk_bytes > 0) {
    parts.swap = TRY(KvSwap::open(*home.env, home.folder, home.disk_bytes)
                         .with("making room for attention state on the disk"));
  }
  if (recipe.ram_tokens > 0 && parts.swap == nullptr)
    return Status(Code::invalid, "ram_tokens needs a place on the disk: --pause-disk SIZE");
  parts.pool->disk = parts.swap;
  auto engine = std::make_unique<ThreadedEngine>(std::move(parts));
  TRY(engine->begin());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace varve

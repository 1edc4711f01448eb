// Who gets KV: what others computed is shared, who has no room waits, and who held it long makes room.
#include <algorithm>

#include "run/engine/threaded_engine.h"

namespace varve {
namespace {

constexpr int32_t kWorthWaiting = 1;  // tokens that somebody else is about to have read: it costs a step

int32_t common(std::span<const Token> a, std::span<const Token> b) {
  const size_t shorter = std::min(a.size(), b.size());
  return int32_t(std::mismatch(a.begin(), a.begin() + shorter, b.begin()).first - a.begin());
}

// What of a sequence can be found computed: somebody wants the logits of its last token, or of those before
// the scored.
std::span<const Token> can_be_known(const Sequence& sequence) {
  const size_t scored = size_t(sequence.request.score_from);
  const size_t known = sequence.request.embed ? 0 : (scored > 0 ? scored : sequence.tokens.size()) - 1;
  return std::span(sequence.tokens).first(known);
}

}  // namespace

// Their KV goes to the disk, and they join the end of those that wait. Whom the disk refuses runs on.
void ThreadedEngine::pause(std::span<Sequence* const> those) {
  for (Sequence* sequence : those) {
    auto slot = parts_.swap->write(sequence->kv->pages());
    if (!slot.ok()) {
      no_pause_ = true;
      const Status why = std::move(slot).status();
      count([&](EngineStats& stats) { stats.pause_problem = why.message(); });
      continue;
    }
    sequence->kv->set_pages({});
    sequence->slot = std::move(*slot);
    sequence->away = std::move(sequence->kv);
    sequence->paused = Sequence::now();
    sequence->waited_steps = 0;
    ++sequence->usage.pauses;
    blocked_ = 0;
    const auto at = std::find_if(sequences_.begin(), sequences_.end(),
                                 [&](const auto& one) { return one.get() == sequence; });
    std::rotate(at, at + 1, sequences_.end());
    count([](EngineStats& stats) {
      --stats.running;
      ++stats.paused;
      ++stats.pauses;
    });
  }
}

bool ThreadedEngine::anybody_runs() const {
  return std::any_of(sequences_.begin(), sequences_.end(),
                     [](const auto& one) { return one->kv != nullptr; });
}

void ThreadedEngine::admit(std::span<Sequence* const> order) {
  for (Sequence* next : order) {
    Sequence& sequence = *next;
    if (sequence.id == blocked_) return;  // nobody overtakes it
    if (reads_for(sequence) != nullptr) continue;
    Status status = start(sequence);
    if (status.ok()) continue;
    if (status.code() == Code::over_budget && anybody_runs()) {
      blocked_ = sequence.id;
      return;
    }
    finish(sequence, Finish::failed, std::move(status));
  }
}

Status ThreadedEngine::start(Sequence& sequence) {
  const Request& request = sequence.request;
  if (request.adapter) TRY(parts_.runner->make_room_for(*request.adapter));
  if (sequence.away) {
    Status back = come_back(sequence);
    if (back.ok() || back.code() == Code::over_budget) return back;
    parts_.swap->drop(sequence.slot);  // what the disk lost is computed again
    sequence.away.reset();
    count([](EngineStats& stats) { --stats.paused, ++stats.waiting; });
  }
  const bool first = sequence.admitted == Sequence::Time();
  if (request.grammar && first) sequence.constraint = request.grammar->start();
  if (request.embed) sequence.hidden_sum.assign(size_t(parts_.model->shape().width), 0);
  if (parts_.chooser != nullptr && sequence.writes() && !sequence.neurons) {
    const ModelShape& shape = parts_.model->shape();
    sequence.neurons = TRY(parts_.chooser->begin({shape.layers, shape.neurons}, parts_.ledger));
  }
  TRY(give_kv(sequence));
  sequence.waited_steps = sequence.served_steps = 0;
  if (first) {
    sequence.admitted = Sequence::now();
    sequence.usage.queue_ms = ms_between(sequence.submitted, sequence.admitted);
  }
  count([&](EngineStats& stats) {
    --stats.waiting;
    ++stats.running;
    if (!first) return;
    stats.tokens_waiting -= sequence.usage.prompt_tokens;
    stats.prompt_tokens += sequence.usage.prompt_tokens;
    stats.prefill_tokens_saved += sequence.usage.reused_tokens;
    stats.restored_tokens += sequence.usage.restored_tokens;
  });
  return {};
}

// over_budget: there is no room yet, and nothing changed.
Status ThreadedEngine::come_back(Sequence& sequence) {
  {  // all of it, or nobody's prefix has to go
    const Capacity& of = parts_.capacity;
    TRY(parts_.ledger.reserve(Tag::kv, kv_bytes_for(of.shape, of.recipe, sequence.most_tokens)));
  }
  {
    const std::vector<KvPagePtr> pages = TRY(parts_.pool->take(int64_t(sequence.slot.sums.size())));
    TRY(parts_.swap->read(sequence.slot, pages));
    sequence.away->set_pages(pages);
  }
  Status reserved = sequence.away->reserve(sequence.most_tokens - sequence.away->tokens());
  if (!reserved.ok()) {
    sequence.away->set_pages({});
    return reserved;
  }
  parts_.swap->drop(sequence.slot);
  sequence.kv = std::move(sequence.away);
  sequence.waited_steps = sequence.served_steps = 0;
  sequence.usage.paused_ms += ms_between(sequence.paused, Sequence::now());
  count([](EngineStats& stats) { --stats.paused, ++stats.running; });
  return {};
}

// Somebody who is about to have read much of what this one begins with: then it waits, and shares.
const Sequence* ThreadedEngine::reads_for(const Sequence& sequence) const {
  if (sequence.away || sequence.request.embed || !sequence.request.splices.empty() ||
      parts_.pool->methods.policy != nullptr || parts_.pool->ram_tokens > 0)
    return nullptr;
  const auto tokens = can_be_known(sequence);
  const PrefixKey key{sequence.request.scope, sequence.request.adapter};
  int32_t known = -1;
  for (const auto& other : sequences_) {
    if (other->kv == nullptr || other->request.embed || !shares(*other, sequence)) continue;
    const int32_t both = common(other->tokens, tokens), has = other->kv->tokens();
    if (both < has + kWorthWaiting) continue;
    if (known < 0) known = prefixes_.known(key, tokens);
    if (both >= std::max(has, known) + kWorthWaiting) return other.get();
  }
  return nullptr;
}

// The longest beginning that is computed: by those that run, or left by those that did.
PrefixStore::Match ThreadedEngine::best_match(Sequence& sequence) {
  const auto tokens = can_be_known(sequence);
  if (tokens.empty()) return {};
  const PrefixKey key{sequence.request.scope, sequence.request.adapter};
  bring_from_disk(sequence, key, tokens);
  PrefixStore::Match best = prefixes_.longest(key, tokens);
  for (const auto& other : sequences_) {
    if (other->kv == nullptr || other->request.embed || !shares(*other, sequence)) continue;
    const int32_t both = std::min(common(other->tokens, tokens), other->exact_tokens());
    if (both <= best.tokens) continue;
    auto kv = other->kv->snapshot(both);
    if (kv.ok()) best = {std::move(*kv), both};
  }
  return best;
}

// What a crowd drove out of RAM while it waited, or before.
void ThreadedEngine::bring_from_disk(Sequence& sequence, const PrefixKey& key,
                                     std::span<const Token> tokens) {
  if (!prefixes_.worth_fetching(key, tokens)) return;
  const Capacity& of = parts_.capacity;
  if (!parts_.ledger.reserve(Tag::kv, kv_bytes_for(of.shape, of.recipe, sequence.most_tokens)).ok()) return;
  sequence.usage.restored_tokens = std::max(sequence.usage.restored_tokens, prefixes_.fetch(key, tokens));
}

// All KV that the sequence can ever need. A fork of a prefix may for a moment need a page a lane more than a
// fresh start: if that does not fit, it starts afresh.
Status ThreadedEngine::give_kv(Sequence& sequence) {
  const Capacity& of = parts_.capacity;
  const int64_t bytes = kv_bytes_for(of.shape, of.recipe, sequence.most_tokens);
  if (prefixes_.unsaved() && bytes > parts_.ledger.limit() - parts_.ledger.used())
    prefixes_.spill().ignore("then they are computed again");  // before they have to make room
  PrefixStore::Match match = best_match(sequence);
  // In vain nobody's prefix is driven out.
  const int64_t shared = kv_bytes_for(of.shape, of.recipe, match.tokens / kPageTokens * kPageTokens);
  if (bytes - shared > parts_.ledger.limit() - parts_.ledger.used() + prefixes_.bytes() && anybody_runs())
    return Status(Code::over_budget, "no room beside those that run");
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

}  // namespace varve

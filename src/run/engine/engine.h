// Engine: the only place that runs a model. One thread owns all sequences and every KV byte; everyone else
// submits and cancels. Continuous batching: each step takes rows of several sequences, prompts in chunks.
//
// What a sequence leaves behind stays as a prefix for later ones of the same scope, until the ledger asks for
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "run/decode/constraint.h"
#include "run/decode/sampler.h"
#include "run/decode/subtasks.h"
#include "run/engine/prefix_disk.h"
#include "run/model/model.h"

namespace varve {

using SequenceId = uint64_t;

// What waits is bounded: so many sequences, and tokens of their prompts. One prompt may always wait. Its
// tokens, biases and grammar are booked under Tag::io.
inline constexpr int32_t kMostWaiting = 1024;
inline constexpr int64_t kMostTokensWaiting = 1 << 20;

enum class Pooling : uint8_t {
  mean,
  last,     // the last token alone
  weighted  // the mean, each token weighing as much as its place: later ones have seen more (SGPT)
};

// State of tokens that stands in for reading them, at another place than it was computed: not exact.
struct Splice {
  int32_t at = 0;                // the first token of the prompt that it stands for
  int32_t first = 0, count = 0;  // of the tokens of `kv`
  float patched = 0;             // the share of them that is read all the same: where it matters most
  KvSnapshot kv;                 // of this engine's pool
};

struct Request {
  std::vector<Token> tokens;  // the whole prompt; never empty
  int32_t max_tokens = 512;   // to generate; 0 computes the prompt only (Finish::length)
  SamplingOptions sampling;
  std::shared_ptr<const Grammar> grammar;  // may be null
  std::shared_ptr<const Adapter> adapter;  // may be null
  bool ignore_end = false;                 // do not stop at end-of-generation tokens (benchmarks)
  bool embed = false;                      // no generation: the hidden states of the prompt, pooled
  Pooling pooling = Pooling::mean;         // of embed
  int32_t pool_from = 0;                   // of embed: tokens before it are read, but not pooled
  int32_t layer = 0;                       // of embed: see Batch::layer
  // > 0: no generation, but the natural log of the probability of each prompt token from this one on, given
  // those before.
  int32_t score_from = 0;
  int32_t priority = 0;  // 0 to 9: a turn 0, a reflection 1, a lesson 2; lower first
  std::string scope;     // KV is reused only inside one scope (a tenant)
  bool lasting = false;  // its KV may be written to the disk for the next start
  // In order; the last token of the prompt is in none. What they cannot stand for is read. Its KV serves
  // nobody else.
  std::vector<Splice> splices;
  // Takes the work of finished subtasks out of the KV while the answer is written: from there on it is what
  // it would be had the rest alone been read. max_tokens may pass the context then.
  std::optional<SubtaskMarks> subtasks;
};

struct Usage {
  int32_t prompt_tokens = 0, reused_tokens = 0, generated_tokens = 0;
  int32_t restored_tokens = 0;  // of those reused, what the disk kept
  KvCounts kv;                  // what a policy kept of it, and what became of the rest
  int32_t spliced_tokens = 0;   // of the prompt, that splices stand for
  int32_t patched_tokens = 0;   // of those, read all the same
  int32_t subtasks = 0, pruned_tokens = 0, reread_tokens = 0;  // finished; what that took out; what followed
  int64_t kv_bytes = 0, shared_bytes = 0;  // of its KV when it ended; of those, what it found computed
  std::string_view kv_pack;                // the codec of its pages
  double queue_ms = 0, prefill_ms = 0, decode_ms = 0;
  int32_t pauses = 0;    // times that its KV went to the disk to make room
  double paused_ms = 0;  // of decode_ms
};

enum class Finish : uint8_t { stop, length, cancelled, failed };

// Called on the engine thread; must be quick and must not call back into the engine except cancel(). Either
// may be empty. An end-of-generation token ends the sequence and is not shown, unless ignore_end.
struct Listener {
  std::function<bool(const Sampled&)> on_token;  // false stops the sequence (Finish::stop)
  // Exactly once. `result`: the embedding, or the scores of the tokens.
  std::function<void(Finish, Status, const Usage&, std::vector<float> result)> on_finish;
};

// Where the KV of a sequence goes while others have their turn.
struct PauseHome {
  Env* env = nullptr;                     // null: nobody is paused; who does not fit waits till others end
  std::string folder;                     // of this engine alone; no name is left in it
  int64_t disk_bytes = int64_t(8) << 30;  // at most; 0: as without
};

struct EngineOptions {
  int32_t context = 0;  // tokens a sequence may have; 0: what the model was trained for, as the budget allows
  int32_t max_sequences = 16;               // running at once; more wait
  int32_t chunk_rows = 256;                 // rows of one step
  std::string kv = "policy=full pack=f16";  // parse_kv_recipe
  std::string neurons;                      // a spec of neuron_choosers(); empty: all of them
  std::string scheduler = "fcfs";
  Ops::Precision precision = Ops::Precision::fast;
  int32_t threads = 0;                     // 0: all cores
  std::shared_ptr<const Adapter> adapter;  // of requests that bring none; may be null
  PrefixHome prefixes;                     // where KV outlives the engine; by default nowhere
  PauseHome pauses;
};

struct EngineStats {  // a consistent copy
  int64_t prompt_tokens = 0, prefill_tokens_saved = 0, generated_tokens = 0, steps = 0;
  int32_t running = 0, waiting = 0;
  int64_t tokens_waiting = 0;   // of the prompts that wait
  int64_t restored_tokens = 0;  // of those saved, what the disk kept
  int64_t kv_bytes = 0, prefix_bytes = 0, prefix_disk_bytes = 0;
  int32_t paused = 0;         // now
  int64_t pauses = 0;         // ever
  int64_t paused_bytes = 0;   // on the disk
  std::string pause_problem;  // why the newest pause that was tried did not come to be; may be empty
};

class PrefixStore;  // run/engine/prefix_store.h

class Engine {
 public:
  virtual ~Engine() = default;  // cancels everything and joins its thread
  // invalid: empty prompt, token out of range, bad sampling options, prompt longer than the context (says
  // both lengths). over_budget: what is asked can never fit, with the arithmetic, or too much waits already.
  // Otherwise the request waits until it fits beside those that run; it fails with over_budget when nothing
  // runs and it still does not.
  virtual Result<SequenceId> submit(Request request, Listener listener) = 0;
  virtual void cancel(SequenceId id) = 0;  // on_finish still comes; unknown ids are ignored
  virtual EngineStats stats() const = 0;
  virtual const Model& model() const = 0;
  virtual int32_t context() const = 0;
  // Erased memory must not live on as KV: no prefix is left on return, on the disk neither, nor will anything
  // that was submitted before leave one.
  virtual Status forget_prefixes() = 0;
  virtual PrefixStore* prefixes() { return nullptr; }  // null: this engine has none
};

// invalid: an option that the model or this build does not have. over_budget: no room for one sequence. The
// ledger must outlive the engine.
Result<std::unique_ptr<Engine>> start_engine(std::shared_ptr<const Model> model, Ledger& ledger,
                                             const EngineOptions& options);

}  // namespace varve

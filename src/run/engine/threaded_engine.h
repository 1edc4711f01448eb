// ThreadedEngine: the engine's thread and its inbox. What is behind the lock is marked; all else belongs to
// the engine thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "run/engine/capacity.h"
#include "run/engine/prefix_store.h"
#include "run/engine/runner.h"
#include "run/engine/scheduler.h"
#include "run/kv/kv_swap.h"

namespace varve {

struct EngineParts {
  std::shared_ptr<const Model> model;
  Ledger& ledger;
  EngineOptions options;
  Capacity capacity;
  int32_t context = 0;
  std::unique_ptr<Scheduler> scheduler;
  std::shared_ptr<KvPool> pool;
  std::unique_ptr<Runner> runner;
  std::shared_ptr<KvSwap> swap;            // null: nobody is paused
  std::unique_ptr<NeuronChooser> chooser;  // null: all neurons are computed
};

class ThreadedEngine : public Engine {
 public:
  explicit ThreadedEngine(EngineParts parts)
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
  void pause(std::span<Sequence* const> those);
  void admit(std::span<Sequence* const> order);
  bool anybody_runs() const;
  Status start(Sequence& sequence);
  Status come_back(Sequence& sequence);
  const Sequence* reads_for(const Sequence& sequence) const;
  PrefixStore::Match best_match(Sequence& sequence);
  void bring_from_disk(Sequence& sequence, const PrefixKey& key, std::span<const Token> tokens);
  Status give_kv(Sequence& sequence);
  void splice(Sequence& sequence);
  void run(std::span<StepPiece> pieces);
  void on_logits(Sequence& sequence, std::span<float> logits);
  Status prune(Sequence& sequence);
  void finish(Sequence& sequence, Finish how, Status status = {});
  void leave_prefix(const Sequence& sequence);
  template <class Change>
  void count(Change change) {
    std::lock_guard lock(mutex_);
    change(stats_);
  }

  EngineParts parts_;
  PrefixStore prefixes_;
  std::vector<std::unique_ptr<Sequence>> sequences_;  // in the order of submission
  SequenceId blocked_ = 0;                            // did not fit; nothing has finished or paused since
  bool no_pause_ = false;                             // the disk refused one; nothing has finished since

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Sequence>> submitted_;  // mutex_
  std::vector<SequenceId> cancelled_;                 // mutex_
  EngineStats stats_;                                 // mutex_
  SequenceId last_id_ = 0;                            // mutex_
  bool stopping_ = false;                             // mutex_
  std::thread thread_;
};

}  // namespace varve

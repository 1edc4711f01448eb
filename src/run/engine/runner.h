// Runner: the rows of several sequences through the model in one pass. It owns the workers and all scratch of
// the engine, booked at birth.
#pragma once

#include "run/engine/sequence.h"

namespace varve {

struct StepPiece {  // the next rows of one sequence
  Sequence* sequence = nullptr;
  int32_t rows = 0;
  Status status;  // what became of it
};

class Runner {
 public:
  static Result<std::unique_ptr<Runner>> make(std::shared_ptr<const Model> model, Ledger& ledger,
                                              const EngineOptions& options);

  // Called for a sequence whose tokens are all computed and that wants another one. May end the sequence.
  using OnLogits = std::function<void(Sequence&, std::span<float> logits)>;
  // A pass that fails is repeated sequence by sequence, so that only those fail that cannot be computed;
  // their KV is as before.
  void run(std::span<StepPiece> pieces, const OnLogits& on_logits);
  Status make_room_for(const Adapter& adapter);  // between runs
  // What is spliced next into the sequence's KV; how many of its tokens were read again.
  Result<int32_t> splice(Sequence& sequence, const std::shared_ptr<KvPool>& pool, const Splice& from);

 private:
  Runner(std::shared_ptr<const Model> model, Ledger& ledger, const EngineOptions& options);
  void run_kind(std::span<StepPiece* const> pieces, const OnLogits& on_logits);
  Status pass(std::span<StepPiece* const> pieces, const OnLogits& on_logits);
  Status compute(Rows out, bool writes, int32_t layer);
  template <class Take>
  void deliver(Rows out, const Take& take, size_t first = 0);
  Status score(Rows hidden);
  Status write_surprised(Rows hidden, const OnLogits& on_logits);
  void tell_sentences(Sequence& sequence, int32_t tokens) const;
  void lay_out(std::span<StepPiece* const> pieces);

  const std::shared_ptr<const Model> model_;
  Ledger& ledger_;
  const int32_t most_rows_, most_outputs_;
  ThreadPool threads_;
  Ops ops_;
  int64_t model_bytes_ = 0;  // of scratch, without adapters
  Scratch scratch_;
  Buffer host_;  // one row of logits or hidden values

  // The batch of the pass under way.
  std::vector<Token> tokens_;
  std::vector<int32_t> positions_, outputs_;
  std::vector<Segment> segments_;
  std::vector<StepPiece*> output_of_;
};

}  // namespace varve

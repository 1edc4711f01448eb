// Týr-the-Pruner (Li et al. 2025) over number formats: which each weight gets under a limit of bytes, judged
// by the whole model. From the allocator's choice on, a supernet of some versions of each weight is rounded
// by the recipe's methods, formats two steps apart at first and then neighbours (coarse to fine); evolve.h
// moves bytes between weights, by the divergence of the answers from the base's; and the next round is
// rounded by the inputs that weights get from the best model so far, with the errors of what comes before
// them.
#pragma once

#include "learn/compress/allot/choose.h"
#include "learn/compress/allot/evolve.h"
#include "learn/compress/allot/supernet.h"

namespace varve {

class FormatSearch {
 public:
  struct Tools {
    Draft& draft;
    CompressedFile& product;
    Sight sight;  // what the recipe's methods ask for
    TrainOps& train;
    const CalibrationText& text;
    const CompressProgress& progress;
  };
  FormatSearch(const Tools& tools, const SearchOptions& how, Choice choice)
      : tools_(tools), how_(how), choice_(std::move(choice)) {}

  // The draft's weights have their formats afterwards. The base is let go when its answers are known. Where a
  // former run was cut off, or has ended, it goes on.
  Status run(std::shared_ptr<const Model> base);
  // Their bytes, after CompressedFile::begin().
  Status write();

 private:
  struct Found {  // in one round
    int32_t round = 0;
    std::vector<size_t> centre;  // steps of each weight's ladder, around which the round's versions lie
    Candidate best;              // of these versions
  };
  struct State {
    bool ended = false;
    Found now, before;  // before: the round's before it; in the first, nobody's
  };
  class Examiner;
  Result<State> load() const;
  Status save(const State& state) const;
  // The steps of a ladder that are versions in a round.
  std::vector<size_t> steps_around(size_t unit, size_t centre, int32_t round) const;
  // Two rounds' versions exist at a time, so that the one before can still be the result.
  Result<Supernet> open_net(const Found& found) const;
  Status search_round(State& state, Supernet& net, const Examiner& examiner) const;
  Status end_round(State& state, Supernet& net) const;
  Result<Found> read(const Json& json) const;
  std::string path(const char* name) const { return tools_.product.work(name); }

  Tools tools_;
  SearchOptions how_;
  Choice choice_;
};

}  // namespace varve

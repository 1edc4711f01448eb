// Zeroth-order learning: no backward, no gradients, no state. A step moves all weights a little along a
// random direction and back against it, compares the two losses, and goes the better way by their difference
// (MeZO, Malladi et al. 2023). Both passes go through the network side by side, so that each weight is met
// once; what a step has found is done to it when it is next met (ZO2, Wang et al. 2025). So weights may lie
// in a file, and one stage of them at a time is there.
#pragma once

#include "learn/grad/network.h"
#include "learn/grad/parts.h"
#include "math/ops/thread_pool.h"

namespace varve {

struct ZerothPlan {
  float reach = 1e-3f;  // of a move
  uint64_t seed = 1;
};

// What a step has found and the weights do not have yet; all that lasts.
struct Finding {
  int64_t step = 0;              // whose direction it is; 0: there is none
  double along = 0, shrink = 0;  // by how much to go against it; how much of a matrix to drop
};

class Zeroth {
 public:
  // What a stage takes at most.
  static int64_t bytes(const Network& network, const Parts& parts);
  static Result<std::unique_ptr<Zeroth>> make(Network& network, Parts& parts, ZerothPlan plan,
                                              ThreadPool& pool, Ledger& ledger);

  // The losses of a batch at both ends of the direction of a step. What was found before is done on the way.
  struct Pair {
    double plus = 0, minus = 0;
  };
  Result<Pair> look(const Lines& lines, int64_t step, Finding& before);
  Status evaluate(const Lines& lines, std::span<float> nll);  // wherever the weights lie
  Status settle(Finding& before);                             // does it now

 private:
  struct Piece {
    Part* part;
    bool own;  // of this stage: a tied embedding is another's in the head
    std::span<float> home;
  };
  Zeroth(Network& network, Parts& parts, ZerothPlan plan, ThreadPool& pool)
      : network_(network), parts_(parts), plan_(plan), pool_(pool) {}
  static std::vector<std::vector<Piece>> stages(const Network& network, const Parts& parts);
  static int64_t widest(const std::vector<std::vector<Piece>>& stages);
  std::span<float> room(int64_t at, const Part& part);
  Status fetch(size_t stage, const Finding& before);
  void move(size_t stage, int64_t step, double factor);
  void add(const Part& part, std::span<float> values, int64_t step, double factor);
  void go_home();

  Network& network_;
  Parts& parts_;
  ZerothPlan plan_;
  ThreadPool& pool_;
  std::vector<std::vector<Piece>> stages_;
  Buffer room_;  // of one stage
};

}  // namespace varve

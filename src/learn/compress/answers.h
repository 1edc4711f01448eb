// Answers: what a model expects after each token of some texts, kept so that another model, or the same with
// something changed, can be measured beside it.
#pragma once

#include "core/budget/buffer.h"
#include "learn/compress/calibration.h"

namespace varve {

struct Compared {
  int64_t places = 0;
  double nats = 0;    // -log p of the token that followed, in the mean
  double kl = 0;      // of the others' distribution from the kept one, in the mean
  double agreed = 0;  // the share of places where the likeliest token is the same
};

class Answers {
 public:
  // Reads the texts once; adapter may be null.
  static Result<Answers> make(const Model& model, const std::vector<std::vector<Token>>& texts, Ops& ops,
                              Ledger& ledger);
  Result<Compared> compare(const Model& model, const Adapter* adapter, Ops& ops, Ledger& ledger) const;

 private:
  std::vector<std::vector<Token>> texts_;
  Buffer logs_;  // of probabilities: [place][vocabulary]
  int64_t vocabulary_ = 0;
};

}  // namespace varve

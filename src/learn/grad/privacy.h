// Differentially private learning: what one example adds to a step is made no longer than `clip`, and noise
// is added (DP-SGD, Abadi et al. 2016). How long that is, is measured by ghost norms: a first pass both ways
// in which no gradient of an example is ever made (Li et al. 2022).
#pragma once

#include "learn/grad/network.h"
#include "learn/grad/parts.h"

namespace varve {

struct Privacy {
  float clip = 0.1f;  // longest that an example may be
  float noise = 1;    // its deviation, as a part of clip
};

// With probability 1 - delta nobody learns more than epsilon about whether an example was there, after so
// many steps that each saw an example with the probability `rate` (Renyi divergences of the sampled Gaussian;
// Mironov et al. 2019).
double privacy_epsilon(double noise, double rate, int64_t steps, double delta);

// The squared length of one example's gradient, over all parts.
class GhostNorm : public Sink {
 public:
  // Booked for a table that is both embedding and head, which one example reaches twice.
  static int64_t bytes(const Network& network, const Parts& parts, int32_t rows);
  static Result<GhostNorm> make(const Network& network, const Parts& parts, int32_t rows, Ledger& ledger);

  Result<double> measure(Network& network, const Lines& example, std::span<float> nll);
  Status take(TrainOps& train, const Part& part, int32_t first_row, Rows x, Rows d) override;
  Status take_rows(TrainOps& train, const Part& part, std::span<const int32_t> rows, float factor,
                   Rows d) override;
  Status take_vector(const Part& part, std::span<const float> gradient) override;

 private:
  const Part* twice_ = nullptr;
  std::span<const int32_t> tokens_;
  Buffer room_;  // of twice_'s gradient as the head makes it, the rows of the example's tokens
  double squares_ = 0;
};

}  // namespace varve

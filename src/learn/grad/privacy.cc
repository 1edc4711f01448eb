#include "learn/grad/privacy.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

const Part* table_of_both(const Network& network, const Parts& parts) {
  return network.tied() ? parts.find("token_embd") : nullptr;
}

// The divergence of order a (an integer) of one step.
double divergence(double noise, double rate, int a) {
  if (rate >= 1) return a / (2 * noise * noise);
  std::vector<double> terms;
  for (int k = 0; k <= a; ++k) {
    const double ways = std::lgamma(a + 1) - std::lgamma(k + 1) - std::lgamma(a - k + 1);
    terms.push_back(ways + (a - k) * std::log1p(-rate) + k * std::log(rate) +
                    double(k * k - k) / (2 * noise * noise));
  }
  const double most = *std::max_element(terms.begin(), terms.end());
  double sum = 0;
  for (double term : terms) sum += std::exp(term - most);
  return (most + std::log(sum)) / (a - 1);
}

}  // namespace

double privacy_epsilon(double noise, double rate, int64_t steps, double delta) {
  double least = INFINITY;
  for (int a = 2; a <= 256; ++a) {
    least = std::min(least, double(steps) * divergence(noise, rate, a) - std::log(delta) / (a - 1));
  }
  return least;
}

int64_t GhostNorm::bytes(const Network& network, const Parts& parts, int32_t rows) {
  return table_of_both(network, parts) != nullptr ? int64_t(rows) * network.spec().width * 4 : 0;
}

Result<GhostNorm> GhostNorm::make(const Network& network, const Parts& parts, int32_t rows, Ledger& ledger) {
  GhostNorm made;
  made.twice_ = table_of_both(network, parts);
  made.room_ = TRY(Buffer::make(ledger, Tag::scratch, bytes(network, parts, rows)));
  return made;
}

Result<double> GhostNorm::measure(Network& network, const Lines& example, std::span<float> nll) {
  squares_ = 0, tokens_ = example.tokens;
  std::ranges::fill(room_.bytes(), std::byte(0));
  TRY(network.learn(example, nll, *this));
  return squares_;
}

Status GhostNorm::take(TrainOps& train, const Part& part, int32_t first_row, Rows x, Rows d) {
  squares_ += train.outer_squares(d, x);
  if (&part != twice_) return {};
  const std::span room(reinterpret_cast<float*>(room_.bytes().data()), tokens_.size() * size_t(part.cols));
  train.outer_rows_add(d, x, first_row, tokens_, room);
  return {};
}

Status GhostNorm::take_rows(TrainOps& train, const Part& part, std::span<const int32_t> rows, float factor,
                            Rows d) {
  squares_ += double(factor) * double(factor) * train.scatter_squares(d, rows);
  if (&part != twice_) return {};
  const std::span room(reinterpret_cast<const float*>(room_.bytes().data()), rows.size() * size_t(part.cols));
  squares_ += 2 * double(factor) * train.dot(d, room);
  return {};
}

Status GhostNorm::take_vector(const Part&, std::span<const float> gradient) {
  for (float value : gradient) squares_ += double(value) * double(value);
  return {};
}

}  // namespace varve

// Hidden states to one vector. Row by row in double, so that the sum does not depend on how a prompt was cut.
#include "run/engine/sequence.h"

namespace varve {

void Sequence::pool(int32_t at, std::span<const float> row) {
  const double weight = request.pooling == Pooling::weighted ? at - request.pool_from + 1 : 1;
  for (size_t i = 0; i < row.size(); ++i) hidden_sum[i] += weight * row[i];
}

std::vector<float> Sequence::pooled() const {
  const double count = double(tokens.size()) - request.pool_from;
  const double weights = request.pooling == Pooling::last       ? 1
                         : request.pooling == Pooling::weighted ? count * (count + 1) / 2
                                                                : count;
  std::vector<float> mean;
  for (double sum : hidden_sum) mean.push_back(float(sum / weights));
  return mean;
}

}  // namespace varve

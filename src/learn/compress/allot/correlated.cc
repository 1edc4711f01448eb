#include "learn/compress/allot/correlated.h"

#include "learn/compress/allot/formats.h"

namespace varve {
namespace {

double lost_of(std::span<const float> row, std::span<const float> back, std::span<const float> square) {
  double before = 0, after = 0, both = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double h = double(square[i]), w = double(row[i]), q = double(back[i]);
    before += h * w * w, after += h * q * q, both += h * w * q;
  }
  if (!(before > 0)) return 0;  // an output that is always 0
  return after > 0 ? 1 - both / before * (both / after) : 1;
}

}  // namespace

Result<std::vector<double>> uncorrelated(const Draft& draft, const Weight& weight,
                                         std::span<const Codec* const> formats) {
  std::vector<double> lost(formats.size());
  TRY(each_rounded(draft, weight, formats, [&](size_t format, auto row, auto back, auto squares) {
    lost[format] += lost_of(row, back, squares) / double(weight.rows());
  }));
  return lost;
}

}  // namespace varve

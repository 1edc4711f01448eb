#include "learn/compress/correlated.h"

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
  const auto cols = size_t(weight.cols());
  const int32_t rows_each = weight.rows() / weight.from.stack;
  std::vector<float> square;
  TRY(draft.each(weight, [&](int32_t first, std::span<const float> rows) -> Status {
    if (first % rows_each == 0) {  // another matrix of the stack
      Seen seen = TRY(draft.seen(weight, first / rows_each));
      square = seen.rows > 0 ? std::move(seen.square) : std::vector<float>(cols, 1.f);
    }
    draft.ops().parallel(int64_t(formats.size()), [&](int64_t f) {
      const Codec& codec = *formats[size_t(f)];
      std::vector<std::byte> bytes(size_t(codec.bytes_for(int64_t(cols))));
      std::vector<float> back(cols);
      for (size_t at = 0; at < rows.size(); at += cols) {
        codec.encode(rows.subspan(at, cols), bytes);
        codec.decode(bytes, back);
        lost[size_t(f)] += lost_of(rows.subspan(at, cols), back, square) / double(weight.rows());
      }
    });
    return {};
  }));
  return lost;
}

}  // namespace varve

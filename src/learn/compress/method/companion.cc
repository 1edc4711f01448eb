#include "learn/compress/method/companion.h"

namespace varve {

Status each_error(const Draft& draft, const CompressedFile& file, size_t weight,
                  const std::function<Status(int32_t, std::span<const float>, std::span<float>)>& take) {
  const Weight& own = draft.weights()[weight];
  const int64_t row_bytes = own.codec->bytes_for(own.cols());
  std::vector<std::byte> bytes;
  std::vector<float> errors;
  return draft.each(own, [&](int32_t first, std::span<const float> rows) -> Status {
    bytes.resize(rows.size() / size_t(own.cols()) * size_t(row_bytes));
    errors.resize(rows.size());
    TRY(file.read(weight, first * row_bytes, bytes));
    own.codec->decode(bytes, errors);
    for (size_t i = 0; i < rows.size(); ++i) errors[i] = rows[i] - errors[i];
    return take(first, rows, errors);
  });
}

Result<std::vector<float>> importance_of(const Draft& draft, const Weight& weight) {
  Seen seen = TRY(draft.seen(weight));
  if (seen.rows > 0) return std::move(seen.square);
  return std::vector<float>(size_t(weight.cols()), 1.f);
}

}  // namespace varve

#include "learn/compress/allot/formats.h"

#include <algorithm>

namespace varve {

std::vector<const Codec*> formats_for(const Weight& weight, bool planes) {
  std::vector<const Codec*> formats;
  const auto offer = [&](const Codec* one) {
    const bool ternary = one->name() == "tq2_0";  // nothing that was not trained for it stands it
    if (!ternary && weight.cols() % int32_t(one->block_values()) == 0) formats.push_back(one);
  };
  for (const Codec* one : rounding_formats()) offer(one);
  if (!planes) return formats;
  for (const char* name : {"bp2", "bp3", "bp4", "bp5", "bp6"}) offer(codec_named(name).value());
  std::stable_sort(formats.begin(), formats.end(), [](const Codec* a, const Codec* b) {
    return a->block_bytes() * b->block_values() < b->block_bytes() * a->block_values();
  });
  return formats;
}

Status each_rounded(const Draft& draft, const Weight& weight, std::span<const Codec* const> formats,
                    const TakeRounded& take) {
  const auto cols = size_t(weight.cols());
  const int32_t rows_each = weight.rows() / weight.from.stack;
  std::vector<float> squares;
  return draft.each(weight, [&](int32_t first, std::span<const float> rows) -> Status {
    if (first % rows_each == 0) {  // another matrix of the stack
      Seen seen = TRY(draft.seen(weight, first / rows_each));
      squares = seen.rows > 0 ? std::move(seen.square) : std::vector<float>(cols, 1.f);
    }
    draft.ops().parallel(int64_t(formats.size()), [&](int64_t f) {
      const Codec& codec = *formats[size_t(f)];
      std::vector<std::byte> bytes(size_t(codec.bytes_for(int64_t(cols))));
      std::vector<float> back(cols);
      for (size_t at = 0; at < rows.size(); at += cols) {
        codec.encode(rows.subspan(at, cols), bytes);
        codec.decode(bytes, back);
        take(size_t(f), rows.subspan(at, cols), back, squares);
      }
    });
    return {};
  });
}

}  // namespace varve

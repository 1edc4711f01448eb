#include "math/ops/access.h"

namespace varve {

Result<Scratch> Scratch::make(Ledger& ledger, int64_t bytes) {
  Scratch scratch;
  scratch.buffer_ = TRY(Buffer::make(ledger, Tag::scratch, bytes));
  return scratch;
}

Rows Scratch::take(int32_t count, int32_t width) {
  CHECK(count >= 0 && width >= 0, "rows of a negative size");
  const int64_t bytes = bytes_for(count, width);
  CHECK(bytes <= buffer_.size() - used_, "a scratch was planned too small");
  auto* floats = reinterpret_cast<float*>(buffer_.bytes().data() + used_);
  used_ += bytes;
  return RowsAccess::make(floats, count, width, width);
}

}  // namespace varve

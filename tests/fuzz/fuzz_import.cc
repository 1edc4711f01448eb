// Exports of other programs: the text cut into records, whole and cut off, and each record read by its
// format. Whatever is read could be told to the store, or is refused there by name.
#include "serve/transfer/pieces.h"
#include "serve/transfer/record.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

namespace {

int64_t read(std::string_view text) {
  Pieces pieces(bytes_of_text(text), 1 << 20);
  int64_t count = 0, last = 0;
  for (;;) {
    auto piece = pieces.next();
    CHECK(piece.ok() || piece.code() == Code::corrupt, "a code not promised");
    CHECK(pieces.whole_bytes() >= last && pieces.whole_bytes() <= int64_t(text.size()), "it lost its place");
    if (!piece.ok() || !*piece) return count;
    last = pieces.whole_bytes();
    ++count;
    auto json = parse_json((*piece)->text);
    const RecordFormat* format = json.ok() ? format_of(*json) : nullptr;
    if (format == nullptr) continue;
    auto records = format->read(*json);
    if (!records.ok()) continue;
    for (const Record& record : *records) {
      CHECK(!record.draft.header.origin.empty(), "a record without an origin is imported twice");
      CHECK(check_text("the origin", record.draft.header.origin, kMaxNameBytes).ok(), "a bad origin");
      check_draft(record.draft).ignore("what the store refuses is left out");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text = text_of(bytes, size);
  const int64_t whole = read(text);
  CHECK(read(text.substr(0, size / 2)) <= whole + 1, "half of it holds more than the whole");
  return 0;
}

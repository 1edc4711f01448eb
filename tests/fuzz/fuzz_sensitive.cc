// Any text: what is found lies in order and inside it, and the rest stays as it was.
#include "memory/cube/screen/sensitive.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text = text_of(bytes, size);
  size_t end = 0, kept = 0;
  const auto found = find_sensitive(text, true, true);
  for (const SensitivePart& one : found) {
    CHECK(one.begin >= end && one.end > one.begin && one.end <= text.size(), "found outside or out of order");
    kept += one.begin - end;
    end = one.end;
  }
  kept += text.size() - end;
  CHECK(redacted(text, found).size() >= kept, "redacting took more than was found");
  return 0;
}

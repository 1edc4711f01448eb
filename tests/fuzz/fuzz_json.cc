// What is accepted is written and read back equal.
#include "core/format/json.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  auto parsed = parse_json(text_of(bytes, size), {.max_bytes = 1 << 16, .max_items = 2000});
  if (!parsed.ok()) {
    CHECK(parsed.code() == Code::invalid, "a code that was not promised");
    return 0;
  }
  for (int indent : {0, 2}) {
    const std::string text = parsed->dump(indent);
    auto again = parse_json(text);
    CHECK(again.ok(), "what was dumped does not parse");
    CHECK(*again == *parsed, "what was dumped reads back differently");
    CHECK(again->dump(indent) == text, "dumping is not stable");
  }
  return 0;
}

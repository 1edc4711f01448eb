// Method specs come from flags, settings and requests.
#include "core/base/options.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  auto spec = parse_spec(text_of(bytes, size));
  if (!spec.ok()) {
    CHECK(spec.code() == Code::invalid, "a code that was not promised");
    return 0;
  }
  CHECK(!spec->name.empty(), "a method without a name");
  int window = 5;
  double ratio = 0.5;
  const Status status =
      OptionReader(*spec).read("window", window, 1, 10).read("ratio", ratio, 0.0, 1.0).done();
  if (status.ok()) {
    CHECK(window >= 1 && window <= 10, "an option out of range");
    CHECK(ratio >= 0 && ratio <= 1, "an option out of range");
    CHECK(spec->options.size() <= 2, "an unknown option was ignored");
  }
  return 0;
}

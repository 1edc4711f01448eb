// A page of a database: scrubbed once, it stays as it is; what is no sound page is not touched.
#include "memory/cube/scrub/page.h"

#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzz.h"

using namespace varve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  for (const bool first : {false, true}) {
    std::vector<uint8_t> page(size_t(size <= 512 ? 512 : 4096));
    std::copy_n(bytes, std::min(size, page.size()), page.begin());
    std::vector<uint8_t> scrubbed = page;
    const bool sound = scrub_page(scrubbed, first);
    CHECK(sound || scrubbed == page, "what is no page was changed");
    page = scrubbed;
    CHECK(scrub_page(scrubbed, first) == sound && scrubbed == page, "scrubbed twice is not scrubbed once");
  }
  return 0;
}
